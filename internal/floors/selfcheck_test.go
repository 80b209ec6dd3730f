package floors

import (
	"slices"
	"strings"
	"testing"
)

// TestCheckCanFail feeds the check packages that do not exist and compares
// what it says.
func TestCheckCanFail(t *testing.T) {
	const none = "" // nothing to say
	at := func(path string, imports ...string) pkg {
		return pkg{ImportPath: house + "/" + path, Imports: imports}
	}
	inModule := func(p pkg, module string) pkg {
		p.Module = &struct{ Path string }{house + "/" + module}
		return p
	}
	testOf := func(path string, imports ...string) pkg {
		return pkg{ImportPath: house + "/" + path, XTestImports: imports}
	}
	for name, tc := range map[string]struct {
		pkg  pkg
		want string
	}{
		"below":                   {at("breaker", house+"/internal/clock", "net/http"), none},
		"two floors below":        {at("resilience", house+"/internal/clock"), none},
		"beside":                  {at("breaker", house+"/retry"), "breaker (floor 1) imports retry (floor 1)"},
		"above":                   {at("selector", house+"/resilience"), "selector (floor 2) imports resilience (floor 3)"},
		"own child above":         {at("resilience", house+"/resilience/resiliencetest"), "never beside or above"},
		"own internal":            {at("breaker", house+"/breaker/internal/window"), none},
		"another room's internal": {at("breaker/internal/window", house+"/selector"), "breaker/internal/window (floor 1) imports selector (floor 2)"},
		"named module":            {at("retry", backoff), none},
		"package of named module": {at("breaker/hystrix", hystrix+"/hystrix"), none},
		"module not named":        {at("breaker", backoff), "names no such module"},
		"module of like name":     {at("retry", backoff+"ish"), "names no such module"},
		"test module not named":   {testOf("breaker", "go.uber.org/goleak"), "breaker (test) imports go.uber.org/goleak"},
		"no row":                  {at("cache"), "cache is in no room: give it a row"},
		"no row, below a room":    {at("breaker/extra"), "breaker/extra is in no room"},
		"import of no row":        {at("resilience", house+"/cache"), "imports cache, which is in no room"},
		"stands alone":            {at("wrapper/idempotency", house+"/retry"), "stands alone"},
		"tests look upwards":      {testOf("breaker", house+"/resilience", house+"/breaker/breakertest"), none},
		"tests and modules":       {testOf("breaker", house+"/benchmarks/sim"), "nested module: move the test"},
		"test helper":             {at("internal/leak", house+"/resilience"), none},
		"helper in a test":        {testOf("breaker", house+"/internal/leak"), none},
		"helper that would ship":  {at("breaker", house+"/internal/leak"), "only tests may import it"},
		"helper's dependency":     {at("internal/leak", "go.uber.org/goleak"), "names no such module"},
		"top floor":               {inModule(at("benchmarks/sim", house+"/benchmarks/harness", house+"/resilience", "example.com/peer"), "benchmarks"), none},
		"not nested":              {at("wrapper/grpcwrap", grpc+"/codes"), "its row in internal/floors/rooms_test.go says nested: true"},
		"nested for nothing":      {inModule(at("breaker"), "breaker"), "says nested: false"},
	} {
		t.Run(name, func(t *testing.T) {
			got := check(rooms, []pkg{tc.pkg})
			switch {
			case tc.want == none && len(got) > 0:
				t.Errorf("got %q, want nothing", got)
			case tc.want != none && (len(got) != 1 || !strings.Contains(got[0], tc.want)):
				t.Errorf("got %q, want one line with %q", got, tc.want)
			}
		})
	}
}

func TestRoomsHaveOneRowEach(t *testing.T) {
	var seen []string
	for _, r := range rooms {
		if slices.Contains(seen, r.path) {
			t.Errorf("%s has two rows", r.path)
		}
		if !r.nested && slices.Contains(r.third, anything) {
			t.Errorf("%s may import anything, but is in the root module", r.path)
		}
		seen = append(seen, r.path)
	}
}
