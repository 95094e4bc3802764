package command

import (
	"maps"
	"slices"
	"strings"
)

// suggestion is the advice for a verb that does not exist.
func suggestion(words []string) string {
	name := words[0]
	if below := under(name); len(below) > 0 {
		return name + " needs a verb: " + strings.Join(below, ", ")
	}
	if verb := elsewhere[strings.ToLower(name)]; verb != "" {
		return "here it is " + verb
	}
	for _, names := range [][]string{Names(), slices.Sorted(maps.Keys(nouns))} {
		if near := nearest(words, names); len(near) > 0 {
			return "did you mean: " + strings.Join(near, ", ")
		}
	}
	return "help lists the commands"
}

// elsewhere are words of other stores and of SQL for what this shell calls
// otherwise, where the letters do not tell.
var elsewhere = map[string]string{
	"put": "set", "insert": "set", "write": "set", "read": "get", "delete": "del", "rm": "del", "remove": "del",
	"mget": "multi_get", "mset": "multi_set", "expire": "set with a ttl_in_seconds", "cas": "check_and_set",
	"keys": "scan --no_value", "select": "scan", "list": "table list", "tables": "table list", "show": "table list, or table show <table>",
	"load": "import", "dump": "export", "unload": "export", "cp": "copy_data", "copy": "copy_data",
	"truncate": "clear_data", "truncate_table": "clear_data", "drop_table": "table drop", "create_table": "table create", "mv": "table rename",
	"status": "cluster status, or doctor", "health": "doctor", "check": "doctor", "servers": "node list", "move": "partition lead, or balance",
	"drain": "node drain", "leader": "partition lead", "hotkeys": "hot_keys", "stat": "table stat", "stats": "table stat",
}

// under lists the verbs of a noun.
func under(noun string) []string {
	registry.once.Do(fillRegistry)
	if below := continuations(registry.names, []string{noun}); len(below) > 0 {
		return below
	}
	return continuations(Names(), []string{strings.ReplaceAll(noun, "-", "_")}) // table-env
}

// mostSuggestions keeps the advice on one line.
const mostSuggestions = 4

// nearest gives the names that are a slip or two away from what was typed, the closest
// first, then those that begin with it.
func nearest(words, names []string) []string {
	type candidate struct {
		name     string
		distance int
	}
	var found []candidate
	for _, name := range names {
		typed := strings.Join(words[:min(len(words), 1+strings.Count(name, " "))], " ")
		d := editDistance(typed, name)
		if d > 2 && len(typed) > 1 && strings.HasPrefix(name, typed) {
			d = 2
		}
		if d <= min(2, max(1, len(typed)/2)) {
			found = append(found, candidate{name, d})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return a.distance - b.distance })
	var near []string
	for _, c := range found[:min(len(found), mostSuggestions)] {
		near = append(near, c.name)
	}
	return near
}

// editDistance counts the insertions, deletions, changes and swaps of neighbours
// that make a into b.
func editDistance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
