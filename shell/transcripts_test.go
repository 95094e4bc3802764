package shell_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/shell/command"
	"github.com/arionkv/arion/shell/parse"
)

// Every command of the tree has a transcript in both forms of something that went
// well, not of a refusal or a dry run. There are no exceptions: watch and top end
// by -n.
func TestEveryVerbHasTranscripts(t *testing.T) {
	people, programs := transcripts(t)
	for name := range treeVerbs(t) {
		require.True(t, people[name], "no transcript of %q for people: add one to testdata/every.txt", name)
		require.True(t, programs[name], "no transcript of %q in JSON: add one to testdata/every.txt", name)
	}
}

// treeVerbs are the commands that the tree of the binary ends in, by the names
// that the help has for them.
func treeVerbs(t *testing.T) map[string]bool {
	verbs := map[string]bool{}
	var walk func(path string, c *cobra.Command)
	walk = func(path string, c *cobra.Command) {
		path = strings.TrimSpace(path + " " + c.Name())
		name := command.Name(strings.Fields(path))
		if !c.HasSubCommands() {
			require.NotEmpty(t, name, "arion %s runs no verb", path)
		}
		if name != "" {
			verbs[name] = true
		}
		for _, sub := range c.Commands() {
			walk(path, sub)
		}
	}
	for _, c := range command.Tree(nil, nil) {
		walk("", c)
	}
	command.Each(func(_, name, _, _, _ string) { require.True(t, verbs[name], "%s is not in the tree", name) })
	return verbs
}

// transcripts gives the verbs that the files of testdata show, by what they are
// run for.
func transcripts(t *testing.T) (people, programs map[string]bool) {
	people, programs = map[string]bool{}, map[string]bool{}
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	for _, file := range files {
		datadriven.RunTest(t, file, func(_ *testing.T, d *datadriven.TestData) string {
			switch {
			case d.Cmd != "run":
			case d.HasArg("json"):
				for _, line := range strings.Split(d.Expected, "\n") {
					name, rest, _ := strings.Cut(strings.TrimPrefix(line, `{"verb":"`), `"`)
					if !strings.Contains(rest, `"error":`) && !strings.Contains(rest, `"dry_run":`) {
						programs[name] = true
					}
				}
			case strings.HasSuffix(d.Expected, "exit 0\n") && !strings.Contains(d.Expected, "error:"):
				for _, line := range strings.Split(d.Input, "\n") {
					commands, err := parse.Line(line)
					if err != nil {
						continue // one of several lines
					}
					for _, words := range commands {
						if name := verbOf(words); name != "" {
							people[name] = true
						}
					}
				}
			}
			return d.Expected
		})
	}
	return people, programs
}

func verbOf(words []parse.Word) string {
	var texts []string
	for _, w := range words {
		if w.Text == "--dry-run" || w.Text == "json" {
			return ""
		}
		texts = append(texts, w.Text)
	}
	return command.Name(texts)
}
