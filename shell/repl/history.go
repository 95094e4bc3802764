package repl

import (
	"bufio"
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/chzyer/readline"
)

// HistoryEnv names the variable with the path of the history file.
const HistoryEnv = "ARION_HISTORY"

// historyLines is what a person may scroll back over several weeks.
const historyLines = 5000

// historyFile is of one profile. It is empty, which means memory only, when there
// is no home.
func historyFile(profile string) string {
	if path := os.Getenv(HistoryEnv); path != "" {
		return path
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".arion_history"+cmp.Or(prefixed(".", filepath.Base(profile), profile), ""))
}

func prefixed(lead, text, unless string) string {
	if unless == "" {
		return ""
	}
	return lead + text
}

// tidy drops what the file holds twice, keeping the latest, so that scrolling back
// meets each line once.
func tidy(path string) {
	f, err := os.Open(path)
	if err != nil {
		return // there is none yet
	}
	defer f.Close()
	var lines []string
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
	}
	if scanner.Err() != nil {
		return // a strange file is left alone
	}
	kept := dedupe(lines)
	if len(kept) == len(lines) {
		return
	}
	temp := path + ".tmp"
	if os.WriteFile(temp, []byte(strings.Join(kept, "\n")+"\n"), 0o600) == nil {
		_ = os.Rename(temp, path) // the old file serves as well
	}
}

// dedupe keeps the last of equal lines.
func dedupe(lines []string) []string {
	seen := map[string]bool{}
	var kept []string
	for _, line := range slices.Backward(lines) {
		if line != "" && !seen[line] {
			seen[line] = true
			kept = append(kept, line)
		}
	}
	slices.Reverse(kept)
	return kept
}

// history decides what is remembered.
type history struct{ last string }

// remember keeps a line unless it begins with a blank, repeats the last one, or
// holds a secret.
func (h *history) remember(rl *readline.Instance, text string) {
	flat := strings.ReplaceAll(text, "\n", string(lineEnd)) // read() turns it back
	if flat == "" || flat[0] == ' ' || flat == h.last || secret(flat) {
		return
	}
	h.last = flat
	// A history that cannot be written must not disturb the work.
	_ = rl.SaveHistory(flat)
}

// secret tells lines that name one. A reference to a secret is none.
func secret(line string) bool {
	lower := strings.ToLower(line)
	return strings.Contains(lower, "password") || strings.Contains(lower, "secret=") || strings.Contains(lower, "token=")
}
