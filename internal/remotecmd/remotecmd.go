// Package remotecmd is the table of text commands that both roles answer over
// RPC_CLI_CLI_CALL: a word, its arguments, a text back.
package remotecmd

import (
	"fmt"
	"sort"
	"strings"
	"sync"
)

// Func runs one command. The returned text goes to the operator as it is; an
// error is shown as text too, since the call itself has no error of its own.
type Func func(args []string) (string, error)

// Command is one entry of the table.
type Command struct {
	Name string
	Args string // argument synopsis, for help
	Help string // one sentence
	Run  Func
}

// Registry is a set of commands. Safe for concurrent use.
type Registry struct {
	mu       sync.RWMutex
	commands map[string]Command
}

// New returns a registry that knows only help.
func New() *Registry {
	r := &Registry{commands: map[string]Command{}}
	r.Add(Command{Name: "help", Args: "[command]", Help: "list the commands, or explain one", Run: r.help})
	return r
}

// Add registers a command. Registering a name twice is a programming error.
func (r *Registry) Add(c Command) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, twice := r.commands[c.Name]; twice {
		panic("remote command registered twice: " + c.Name)
	}
	r.commands[c.Name] = c
}

// Call runs a command and returns its text. An unknown name is answered with a
// text that says so, as the tools expect.
func (r *Registry) Call(name string, args []string) string {
	r.mu.RLock()
	c, ok := r.commands[name]
	r.mu.RUnlock()
	if !ok {
		return fmt.Sprintf("unknown command '%s', try help", name)
	}
	text, err := c.Run(args)
	if err != nil {
		return "error: " + err.Error()
	}
	return text
}

func (r *Registry) help(args []string) (string, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(args) > 0 {
		c, ok := r.commands[args[0]]
		if !ok {
			return "", fmt.Errorf("no command '%s'", args[0])
		}
		return strings.TrimSpace(c.Name+" "+c.Args) + "\n    " + c.Help, nil
	}
	names := make([]string, 0, len(r.commands))
	for name := range r.commands {
		names = append(names, name)
	}
	sort.Strings(names)
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "%-40s %s\n", strings.TrimSpace(name+" "+r.commands[name].Args), r.commands[name].Help)
	}
	return b.String(), nil
}
