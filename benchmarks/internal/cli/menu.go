package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
)

// Menu is a command that has others below it.
type Menu struct {
	Program  string // as it is typed
	About    string // what it does, after its name
	Commands []Command
	Exit     string // what it says of exit codes; empty: ExitCodes
}

// Command is one of a menu.
type Command struct {
	Name, About string
	Run         func(ctx context.Context, args []string, std Streams) int
}

// Run runs the command that the first argument names, with the others. It
// returns the exit code.
func (m Menu) Run(ctx context.Context, args []string, std Streams) int {
	if len(args) == 0 {
		fmt.Fprintf(std.Err, "%s: no command: want one of %s (%s help tells more)\n", m.Program, m.names(), m.Program)
		return Usage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		m.help(std.Out)
		return Pass
	}
	for _, c := range m.Commands {
		if c.Name == args[0] {
			return c.Run(ctx, args[1:], std)
		}
	}
	fmt.Fprintf(std.Err, "%s: unknown subcommand %q: want one of %s (%s help tells more)\n", m.Program, args[0], m.names(), m.Program)
	return Usage
}

func (m Menu) names() string {
	list := make([]string, 0, len(m.Commands)+1)
	for _, c := range m.Commands {
		list = append(list, c.Name)
	}
	return strings.Join(append(list, "help"), ", ")
}

func (m Menu) help(w io.Writer) {
	fmt.Fprintf(w, "%s %s.\n\nUsage: %s COMMAND [flags]\n\n", m.Program, m.About, m.Program)
	for _, c := range m.Commands {
		fmt.Fprintf(w, "  %-12s %s\n", c.Name, c.About)
	}
	fmt.Fprintf(w, "  %-12s this text; %s COMMAND -h for a command's flags\n\n%s", "help", m.Program, cmp.Or(m.Exit, ExitCodes))
}
