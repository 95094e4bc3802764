package main

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// Readline parts words at = and :, which addresses and flags have in them.
func TestBashFallbackJoinsWords(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	for _, tc := range []struct{ line, words, want string }{
		{"arion --meta h:1 node drain ", `arion --meta h : 1 node drain ""`, "[arion][--meta][h:1][node][drain][] cword=5 prev=drain cur="},
		{"arion --meta=h:1  get a:b", `arion --meta = h : 1 get a : b`, "[arion][--meta=h:1][get][a:b] cword=3 prev=get cur=a:b"},
		{"arion ta", `arion ta`, "[arion][ta] cword=1 prev=arion cur=ta"},
		{"arion x=", `arion x =`, "[arion][x=] cword=1 prev=arion cur=x="},
	} {
		script := bashFallback + `COMP_LINE='` + tc.line + `' COMP_WORDS=(` + tc.words + `) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
			_get_comp_words_by_ref -n =: cur prev words cword
			printf '[%s]' "${words[@]}"; printf ' cword=%s prev=%s cur=%s' "$cword" "$prev" "$cur"`
		out, err := exec.Command(bash, "--norc", "--noprofile", "-c", script).CombinedOutput()
		require.NoError(t, err, string(out))
		require.Equal(t, tc.want, string(out), tc.line)
	}
	out, err := exec.Command(bash, "--norc", "--noprofile", "-c", bashFallback+
		`COMPREPLY=(10.0.0.1:80 10.0.0.1:81); __ltrim_colon_completions 10.0.0.1:8; echo "${COMPREPLY[*]}"`).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "80 81\n", string(out))
}
