package command

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Complete gives what may follow: words are those before, last is the one being
// typed. Every candidate begins with last.
func (s *Session) Complete(words []string, last string) []string {
	var candidates []string
	v, used := find(words)
	switch {
	case v == nil || used < len(words) && isNoun(words) && !v.takesArguments():
		candidates = nameParts(words, last)
	case len(words) == 0:
	default:
		candidates = s.completeArgument(v, words[used:], last)
		if used == len(words) { // "table" is a name of its own and a noun as well
			candidates = append(nameParts(words, last), candidates...)
		}
	}
	var fitting []string
	for _, c := range candidates {
		if strings.HasPrefix(c, last) && !slices.Contains(fitting, c) {
			fitting = append(fitting, c)
		}
	}
	slices.Sort(fitting)
	return fitting
}

func (v *verb) takesArguments() bool { return v.max != 0 }

func isNoun(words []string) bool { return len(words) > 0 && len(under(words[0])) > 0 }

// nameParts gives the next word of the names that begin with words and last. The
// other spellings come only when none of those in the help fits.
func nameParts(words []string, last string) []string {
	registry.once.Do(fillRegistry)
	next := continuations(registry.names, words)
	if slices.ContainsFunc(next, func(name string) bool { return strings.HasPrefix(name, last) }) {
		return next
	}
	return continuations(Names(), words)
}

func continuations(names, words []string) []string {
	prefix := ""
	if len(words) > 0 {
		prefix = strings.Join(words, " ") + " "
	}
	var next []string
	for _, name := range names {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			word, _, _ := strings.Cut(rest, " ")
			next = append(next, word)
		}
	}
	return next
}

// completeArgument completes a flag, the value of one, or the next argument.
func (s *Session) completeArgument(v *verb, words []string, last string) []string {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	v.addFlags(flags)
	if strings.HasPrefix(last, "-") {
		return flagNames(flags)
	}
	if n := len(words); n > 0 && strings.HasPrefix(words[n-1], "-") {
		if f := flagOf(flags, words[n-1]); f != nil && f.NoOptDefVal == "" {
			return s.completeValue(f, last)
		}
	}
	if v.name() == "watch" && positional(flags, words) > 0 {
		return s.Complete(words[1:], last)
	}
	if v.name() == "help" {
		return nameParts(words, last)
	}
	return s.candidates(placeholder(v, positional(flags, words)), last)
}

// positional counts the words that are no flags.
func positional(flags *pflag.FlagSet, words []string) int {
	n := 0
	for i := 0; i < len(words); i++ {
		if !strings.HasPrefix(words[i], "-") || words[i] == "-" {
			n++
		} else if f := flagOf(flags, words[i]); f != nil && f.NoOptDefVal == "" && !strings.Contains(words[i], "=") {
			i++ // its value
		}
	}
	return n
}

// placeholder is what the synopsis calls argument n; the last one repeats.
func placeholder(v *verb, n int) string {
	var names []string
	for _, word := range v.arguments() {
		if name := strings.Trim(word, "<>[]"); name != "..." && name != "" {
			names = append(names, name)
		}
	}
	switch {
	case len(names) == 0 || n >= len(names) && v.max >= 0:
		return ""
	case n >= len(names):
		return names[len(names)-1]
	}
	return names[n]
}

func flagNames(flags *pflag.FlagSet) []string {
	var names []string
	flags.VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	return names
}

func flagOf(flags *pflag.FlagSet, word string) *pflag.Flag {
	if name, ok := strings.CutPrefix(word, "--"); ok {
		return flags.Lookup(strings.ReplaceAll(name, "-", "_"))
	}
	if len(word) != 2 {
		return nil
	}
	return flags.ShorthandLookup(word[1:])
}

// flagValues are the words that a flag takes.
var flagValues = map[string][]string{
	"output": {"table", "wide", "json", "jsonl", "csv", "yaml", "raw"}, "format": {"jsonl", "csv", "binary"},
	"hash_key_filter_type": {"anywhere", "prefix", "postfix"}, "sort_key_filter_type": {"anywhere", "prefix", "postfix"},
	"value_filter_type": {"anywhere", "prefix", "postfix", "exact"}, "match_type": {"all", "exact", "anywhere", "prefix", "postfix"},
	"status": {"all", "available", "creating", "dropping", "dropped", "alive", "unalive"}, "node_type": {"all", "meta-server", "replica-server"},
	"hotkey_type": {"read", "write"}, "detect_action": {"start", "stop", "query"}, "start_inclusive": {"true", "false"}, "stop_inclusive": {"true", "false"},
}

func (s *Session) completeValue(f *pflag.Flag, last string) []string {
	switch f.Name {
	case "table", "app_name", "target_app_name", "table_name":
		return s.candidates("table", last)
	case "node", "from", "to", "target", "node_list", "address":
		return s.candidates("node", last)
	case "resume", "rejects":
		return files(last)
	case "target_cluster_name":
		return s.candidates("context", last)
	case "check_type":
		return strings.Split(checkTypeNames(), ", ")
	}
	return flagValues[f.Name]
}

// candidates lists what can stand for a placeholder of a synopsis.
func (s *Session) candidates(name, last string) []string {
	switch name {
	case "table", "new_name":
		return s.Known().Tables
	case "node":
		return s.Known().Nodes
	case "env":
		var envs []string
		for _, e := range knownEnvs {
			envs = append(envs, e.name)
		}
		return envs
	case "level":
		return []string{"stopped", "blind", "freezed", "steady", "lively"}
	case "true|false":
		return []string{"true", "false"}
	case "file":
		return files(last)
	case "command":
		return nameParts(nil, last)
	case "context":
		profiles, _, _ := s.Profiles.List() // completion has nobody to tell
		var names []string
		for _, p := range profiles {
			names = append(names, p.Name)
		}
		return names
	}
	if rest, ok := strings.CutPrefix(last, "file:"); ok {
		var names []string
		for _, f := range files(rest) {
			names = append(names, "file:"+f)
		}
		return names
	}
	return nil
}

// files lists what begins with last, directories with a slash.
func files(last string) []string {
	dir, _ := filepath.Split(last)
	entries, err := os.ReadDir(filepath.Clean("./" + dir))
	if filepath.IsAbs(last) {
		entries, err = os.ReadDir(dir)
	}
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		name := dir + e.Name()
		if e.IsDir() {
			name += "/"
		}
		names = append(names, name)
	}
	return names
}

// Hint gives what a person is to type next, in grey behind the line: the rest of
// the synopsis. blank says that the last word is complete.
func Hint(words []string, blank bool) string {
	if len(words) == 0 {
		return ""
	}
	v, used := find(words)
	if v == nil {
		return ""
	}
	if used == len(words) && !blank {
		return prefixed(" ", strings.Join(v.arguments(), " "))
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	v.addFlags(flags)
	n := positional(flags, words[used:])
	arguments := v.arguments()
	if n >= len(arguments) {
		return ""
	}
	rest := strings.Join(arguments[n:], " ")
	if blank {
		return rest
	}
	return prefixed(" ", rest)
}

func prefixed(lead, text string) string {
	if text == "" {
		return ""
	}
	return lead + text
}
