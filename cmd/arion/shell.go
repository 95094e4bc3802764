package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/arionkv/arion/internal/version"
	"github.com/arionkv/arion/shell"
	"github.com/arionkv/arion/shell/command"
	"github.com/arionkv/arion/shell/profile"
	"github.com/arionkv/arion/shell/render"
)

// shellFlags are the settings of the shell and of its commands on the command
// line. A flag wins over the environment (ARION_META and so on), that over the
// profile, that over the default.
type shellFlags struct {
	sets                                 []*pflag.FlagSet // where they may be given
	ctx, metas, table, output, timeout   string
	quiet, yes, hex, b64, raw, escapeAll bool
}

func (s *shellFlags) add(f *pflag.FlagSet) {
	s.sets = append(s.sets, f)
	f.SortFlags = false
	f.StringVar(&s.ctx, "ctx", "", "kept cluster to use, see ctx add; default: the one of ctx use")
	f.StringVar(&s.metas, "meta", defaultMeta, "meta servers, host:port, separated by commas")
	f.StringVar(&s.table, "table", "", "table to use")
	f.StringVarP(&s.output, "output", "o", string(render.Table), "table, wide, json, jsonl, csv, yaml or raw")
	f.BoolVarP(&s.quiet, "quiet", "q", false, "no footers")
	f.BoolVarP(&s.yes, "yes", "y", false, "administer without asking, at the prompt without enable")
	f.StringVar(&s.timeout, "timeout", command.DefaultTimeout.String(), "longest time of one command")
	f.BoolVar(&s.hex, "hex", false, "print keys and values as hex:…")
	f.BoolVar(&s.b64, "b64", false, "print keys and values as b64:…")
	f.BoolVar(&s.escapeAll, "escape-all", false, "print every byte as \\xHH")
	f.BoolVar(&s.raw, "raw", false, "print keys and values as they are (not to a terminal)")
}

const defaultMeta = "127.0.0.1:34601"

// options settles each setting and remembers where it comes from.
func (s *shellFlags) options() (shell.Options, error) {
	o := shell.Options{Profiles: profile.Default(), Version: version.Line(), Quiet: s.quiet, Yes: s.yes, Origins: command.Origins{}}
	p, err := o.Profiles.Get(s.settle("ctx", &s.ctx, "", o.Origins))
	if errors.Is(err, profile.ErrUnknown) {
		err = fmt.Errorf("%w: arion ctx list shows those there are, arion ctx add keeps one", err)
	}
	if err != nil {
		return o, usageError{err}
	}
	if p == nil {
		p = &profile.Profile{}
	} else {
		o.Profile = p
		o.Origins["context"] = "profiles file"
	}
	o.Metas = splitList(s.settle("meta", &s.metas, strings.Join(p.Metas, ","), o.Origins))
	o.Table = s.settle("table", &s.table, p.Table, o.Origins)
	if o.Format, err = render.ParseFormat(s.settle("output", &s.output, p.Output, o.Origins)); err != nil {
		return o, usageError{err}
	}
	text := s.settle("timeout", &s.timeout, p.Timeout, o.Origins)
	if o.Timeout, err = time.ParseDuration(text); err != nil || o.Timeout <= 0 {
		return o, usageError{fmt.Errorf("--timeout is %q; say 500ms, 10s or 1m", text)}
	}
	if o.Bytes, err = s.byteForm(); err != nil {
		return o, usageError{err}
	}
	return o, nil
}

// settle gives the value of a setting: flag, environment, profile, default.
func (s *shellFlags) settle(name string, value *string, kept string, origins command.Origins) string {
	env := "ARION_" + strings.ToUpper(name)
	switch text, set := os.LookupEnv(env); {
	case slices.ContainsFunc(s.sets, func(f *pflag.FlagSet) bool { return f.Changed(name) }):
		origins[name] = "flag --" + name
	case set && text != "":
		*value, origins[name] = text, "environment "+env
	case kept != "":
		*value, origins[name] = kept, "profile"
	default:
		origins[name] = "default"
	}
	return *value
}

func (s *shellFlags) byteForm() (render.ByteForm, error) {
	form, given := render.Quoted, 0
	for f, on := range map[render.ByteForm]bool{render.Hex: s.hex, render.Base64: s.b64, render.EscapeAll: s.escapeAll, render.Raw: s.raw} {
		if on {
			form = f
			given++
		}
	}
	if given > 1 {
		return form, errors.New("only one of --hex, --b64, --escape-all and --raw may be given")
	}
	return form, nil
}

func newShell(s *shellFlags) *cobra.Command {
	var run, file string
	var variables []string
	var keepGoing bool
	cmd := &cobra.Command{
		Use:   "shell",
		Short: "Work with tables and records, at a prompt or in scripts",
		Long: `Reads commands from -e, from -f, from standard input when that is no terminal,
or from a prompt. A script stops at the first error.

At the prompt administration is read-only until enable. A script administers as
it is written; what cannot be undone needs --yes.

Exit status: 0 done, 1 failed on the server, 2 usage, 3 not reached or timed
out, 4 not found or condition not met, 5 refused, 6 busy, 7 in doubt,
130 interrupted.`,
		Example: "  arion shell --meta 127.0.0.1:34601 --table temp\n" +
			"  arion shell --table temp -e 'set a b c; get a b' -o json\n" +
			"  arion shell -f load.txt --var day=2024-05-01 --keep-going",
		Args: cobra.NoArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			o, err := s.options()
			if err != nil {
				return err
			}
			o.Command, o.File, o.KeepGoing = run, file, keepGoing
			if o.Variables, err = parseVariables(variables); err != nil {
				return err
			}
			// The shell minds Ctrl-C itself: at the prompt it stops a command only.
			return status(shell.Run(context.Background(), o))
		},
	}
	f := cmd.Flags()
	s.add(f)
	f.StringVarP(&run, "execute", "e", "", "commands to run, separated by semicolons")
	f.StringVarP(&file, "file", "f", "", "file of commands to run")
	f.StringArrayVar(&variables, "var", nil, "what ${name} stands for in a script, name=value; repeatable")
	f.BoolVar(&keepGoing, "keep-going", false, "go on after an error; the first one is the exit status")
	cmd.MarkFlagsMutuallyExclusive("execute", "file")
	return cmd
}

func parseVariables(list []string) (map[string]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	variables := map[string]string{}
	for _, text := range list {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, usageError{fmt.Errorf("--var is %q, not name=value", text)}
		}
		variables[name] = value
	}
	return variables, nil
}

func status(exit int) error {
	if exit != 0 {
		return exitStatus(exit)
	}
	return nil
}

// addVerbs makes every command of the shell a command of the binary, but for names
// that the binary has for something else. run is what they do.
func addVerbs(root *cobra.Command, s *shellFlags) (run func(words []string) error) {
	taken := map[string]bool{"help": true}
	for _, c := range root.Commands() {
		taken[c.Name()] = true
	}
	run = func(words []string) error {
		words = s.take(words)
		o, err := s.options()
		if err != nil {
			return err
		}
		return status(shell.RunWords(context.Background(), o, words))
	}
	complete := func(words []string, last string) []string {
		o, err := s.options()
		if err != nil {
			return nil
		}
		return shell.CompleteWords(o, words, last)
	}
	root.AddGroup(&cobra.Group{ID: verbGroup, Title: "Commands of the shell (arion help COMMAND, or arion COMMAND --help):"})
	for _, c := range command.Tree(run, complete) {
		if !taken[c.Name()] {
			c.GroupID = verbGroup
			c.Hidden = c.Hidden || promptOnly[c.Name()]
			root.AddCommand(c)
		}
	}
	return run
}

// take picks --meta and --ctx from anywhere on the line: they choose the cluster,
// which is no matter of the command.
func (s *shellFlags) take(words []string) []string {
	var rest []string
	for i := 0; i < len(words); i++ {
		name, value, given := strings.Cut(words[i], "=")
		if words[i] == "--" {
			return append(rest, words[i:]...)
		}
		if name != "--meta" && name != "--ctx" {
			rest = append(rest, words[i])
			continue
		}
		if !given && i+1 < len(words) {
			i++
			value = words[i]
		}
		_ = s.sets[0].Set(strings.TrimPrefix(name, "--"), value) // a text takes any value
	}
	return rest
}

const verbGroup = "shell"

// promptOnly are commands that make sense only where others follow.
var promptOnly = map[string]bool{
	"use": true, "enable": true, "disable": true, "timeout": true, "escape_all": true, "exit": true, "cc": true,
	"enable_atomic_idempotent": true, "disable_atomic_idempotent": true,
}

func splitList(text string) []string {
	var list []string
	for _, part := range strings.Split(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}
