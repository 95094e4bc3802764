package remotecmd

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCall(t *testing.T) {
	r := New()
	r.Add(Command{Name: "echo", Args: "WORD", Help: "say it back", Run: func(args []string) (string, error) {
		if len(args) != 1 {
			return "", errors.New("echo takes one word")
		}
		return args[0], nil
	}})
	require.Equal(t, "a", r.Call("echo", []string{"a"}))
	require.Equal(t, "error: echo takes one word", r.Call("echo", nil))
	require.Contains(t, r.Call("nope", nil), "unknown command 'nope'")
	require.Contains(t, r.Call("help", nil), "echo WORD")
	require.Contains(t, r.Call("help", []string{"echo"}), "say it back")
	require.Contains(t, r.Call("help", []string{"nope"}), "no command 'nope'")
	require.Panics(t, func() { r.Add(Command{Name: "echo"}) })
}
