package floors

import (
	"fmt"
	"slices"
	"strings"
)

// pkg is what the check reads of `go list -json`.
type pkg struct {
	ImportPath   string
	Module       *struct{ Path string }
	Imports      []string
	TestImports  []string
	XTestImports []string
	Error        *struct{ Err string }
}

// check returns a line for everything in pkgs that the rooms do not allow,
// each saying where to look.
func check(rooms []room, pkgs []pkg) []string {
	var wrong []string
	for _, p := range pkgs {
		at := rel(p.ImportPath)
		r, ok := roomOf(rooms, at)
		switch {
		case !ok && isHelper(at):
			r = room{floor: top(rooms), path: at} // a test helper may lean on the whole house
		case !ok:
			wrong = append(wrong, fmt.Sprintf("%s is in no room: give it a row, with its floor, in internal/floors/rooms_test.go", at))
			continue
		case r.nested == (moduleOf(p) == house):
			wrong = append(wrong, fmt.Sprintf("%s lives in module %s, its row in internal/floors/rooms_test.go says nested: %v", at, moduleOf(p), r.nested))
		}
		for _, imp := range p.Imports {
			wrong = append(wrong, edge(rooms, r, at, imp)...)
		}
		for _, imp := range slices.Concat(p.TestImports, p.XTestImports) {
			wrong = append(wrong, testEdge(rooms, r, at, imp)...)
		}
	}
	slices.Sort(wrong)
	return slices.Compact(wrong)
}

// edge judges one import of what ships.
func edge(rooms []room, r room, from, imp string) []string {
	if isStandard(imp) {
		return nil
	}
	if !isOurs(imp) {
		return foreign(from, imp, r.third)
	}
	to := rel(imp)
	t, ok := roomOf(rooms, to)
	switch {
	case !ok && isHelper(to):
		return []string{fmt.Sprintf("%s imports %s, which has no row in internal/floors/rooms_test.go and so is a test helper: only tests may import it", from, to)}
	case !ok:
		return []string{fmt.Sprintf("%s imports %s, which is in no room: give it a row in internal/floors/rooms_test.go", from, to)}
	case t.path == r.path:
		return nil
	case r.alone:
		return []string{fmt.Sprintf("%s imports %s, but its row says it stands alone", from, to)}
	case t.floor >= r.floor:
		return []string{fmt.Sprintf("%s (floor %d) imports %s (floor %d): a room imports rooms on floors below it, never beside or above", from, r.floor, to, t.floor)}
	}
	return nil
}

// testEdge judges one import of a test. Tests look at the whole house, but a
// nested module's packages or a module without a row would end up in the
// go.mod that users of the root module download.
func testEdge(rooms []room, r room, from, imp string) []string {
	if isStandard(imp) {
		return nil
	}
	if !isOurs(imp) {
		return foreign(from+" (test)", imp, slices.Concat(r.third, r.tests))
	}
	if t, ok := roomOf(rooms, rel(imp)); ok && t.nested && !r.nested {
		return []string{fmt.Sprintf("%s (test) imports %s, which is in a nested module: move the test there", from, rel(imp))}
	}
	return nil
}

func foreign(from, imp string, allowed []string) []string {
	for _, m := range allowed {
		if m == anything || within(imp, m) {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s imports %s: its row in internal/floors/rooms_test.go names no such module", from, imp)}
}

// roomOf finds the room of a package given by its path below the root: the
// one named exactly, or else the deepest that holds it.
func roomOf(rooms []room, at string) (room, bool) {
	var found room
	ok := false
	for _, r := range rooms {
		holds := at == r.path || within(at, r.path+"/internal") || r.tree && within(at, r.path)
		if holds && (!ok || len(r.path) > len(found.path)) {
			found, ok = r, true
		}
	}
	return found, ok
}

func isHelper(at string) bool { return within(at, "internal") }

func isOurs(imp string) bool { return within(imp, house) }

// isStandard reports whether imp is of the standard library: its first
// element has no dot.
func isStandard(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return !strings.Contains(first, ".")
}

// within reports whether path is dir or below it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, dir+"/")
}

func rel(importPath string) string {
	if importPath == house {
		return "."
	}
	return strings.TrimPrefix(importPath, house+"/")
}

func moduleOf(p pkg) string {
	if p.Module == nil {
		return house
	}
	return p.Module.Path
}

func top(rooms []room) int {
	floor := 0
	for _, r := range rooms {
		floor = max(floor, r.floor+1)
	}
	return floor
}
