package command

import (
	"context"
	"strings"
	"sync"

	"github.com/spf13/pflag"
)

// verb describes one command. Its flags follow the Pegasus shell; a dash in a
// name works for an underscore.
type verb struct {
	use     string // "table create <table>": the words that name it, then its arguments
	short   string
	example string // two or three lines that work as they stand
	// aliases are other names, among them those of the Pegasus tools.
	aliases []string
	min     int // positional arguments
	max     int // unlimited when below min
	flags   func(*pflag.FlagSet)
	run     func(ctx context.Context, c *call) error
	// changes: the verb administers, so it is read-only until enable or --yes and
	// knows --dry-run; see call.proceed.
	changes bool
	// local verbs ask no server.
	local bool
	// needs is what else must be said of the exit status and the like.
	related []string
}

const unlimited = -1

// name is the words that call the verb.
func (v *verb) name() string {
	end := len(v.use)
	for _, mark := range []string{" <", " [", " -"} {
		if i := strings.Index(v.use, mark); i >= 0 {
			end = min(end, i)
		}
	}
	return v.use[:end]
}

// arguments are the placeholders of the synopsis.
func (v *verb) arguments() []string {
	return strings.Fields(strings.TrimPrefix(v.use, v.name()))
}

// group is a heading of the help.
type group struct {
	title string
	verbs []*verb
}

// registry is built at first use: verbs refer to it themselves (help, watch), so
// a variable with an initial value would be a cycle.
var registry struct {
	once   sync.Once
	groups []group
	byName map[string]*verb // every spelling, words parted by one blank
	names  []string         // the spellings shown first, in order of the help
}

func allGroups() []group {
	registry.once.Do(fillRegistry)
	return registry.groups
}

func fillRegistry() {
	groups := []struct {
		title string
		parts [][]verb
	}{
		{"Records", [][]verb{recordVerbs(), multiVerbs(), checkVerbs(), batchVerbs()}},
		{"Scans", [][]verb{scanVerbs()}},
		{"Data in bulk", [][]verb{bulkVerbs()}},
		{"Tables", [][]verb{tableVerbs(), envVerbs(), tableStatVerbs(), loadVerbs()}},
		{"Partitions", [][]verb{partitionVerbs(), splitVerbs(), compactVerbs()}},
		{"Cluster", [][]verb{clusterVerbs(), nodeVerbs(), metaVerbs(), jobVerbs()}},
		{"Diagnosis", [][]verb{diagnosisVerbs(), liveVerbs()}},
		{"Session", [][]verb{sessionVerbs(), profileVerbs(), keyVerbs()}},
	}
	registry.byName = map[string]*verb{}
	for _, g := range groups {
		made := group{title: g.title}
		for _, part := range g.parts {
			for i := range part {
				made.verbs = append(made.verbs, &part[i])
				enter(&part[i])
			}
		}
		registry.groups = append(registry.groups, made)
	}
}

func enter(v *verb) {
	registry.names = append(registry.names, v.name())
	for _, name := range append([]string{v.name()}, v.aliases...) {
		if registry.byName[name] != nil {
			panic("shell: two verbs are called " + name)
		}
		registry.byName[name] = v
	}
}

// find gives the verb that words begin with, and how many of them name it. Longer
// names win: "table" alone is another verb than "table list".
func find(words []string) (*verb, int) {
	registry.once.Do(fillRegistry)
	for n := min(len(words), longestName); n > 0; n-- {
		name := strings.Join(words[:n], " ")
		if v := registry.byName[name]; v != nil {
			return v, n
		}
		// list-tables, list_tables and LIST_TABLES are one name to a person.
		if v := registry.byName[strings.ReplaceAll(strings.ToLower(name), "-", "_")]; v != nil {
			return v, n
		}
	}
	return nil, 0
}

// longestName is the number of words of the longest name.
const longestName = 3

// Names lists every spelling of every verb, those of the help first.
func Names() []string {
	registry.once.Do(fillRegistry)
	names := append([]string(nil), registry.names...)
	for _, g := range registry.groups {
		for _, v := range g.verbs {
			names = append(names, v.aliases...)
		}
	}
	return names
}

// Usage gives the synopsis of a verb, empty when there is none.
func Usage(name string) string {
	if v, n := find(strings.Fields(name)); v != nil && n == len(strings.Fields(name)) {
		return v.use
	}
	return ""
}

// Name gives the name in the help of the verb that words call, which may be by
// another spelling; empty for none.
func Name(words []string) string {
	v, _ := find(words)
	if v == nil {
		return ""
	}
	return v.name()
}

// Each calls f with name, synopsis, sentence and examples of each verb.
func Each(f func(group, name, use, short, example string)) {
	for _, g := range allGroups() {
		for _, v := range g.verbs {
			f(g.title, v.name(), v.use, v.short, v.example)
		}
	}
}
