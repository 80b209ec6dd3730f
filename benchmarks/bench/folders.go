package bench

import (
	"flag"
	"fmt"
)

// parseFolders parses flags among which there are as many folders as want
// names.
func parseFolders(fs *flag.FlagSet, args []string, want ...string) ([]string, error) {
	var folders []string
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		if fs.NArg() == 0 {
			break
		}
		folders, args = append(folders, fs.Arg(0)), fs.Args()[1:]
	}
	if len(folders) > len(want) {
		return nil, fmt.Errorf("argument %q: want %d of results and flags only", folders[len(want)], len(want))
	}
	if len(folders) < len(want) {
		return nil, fmt.Errorf("no %s: want a folder that bench run -out has written", want[len(folders)])
	}
	return folders, nil
}
