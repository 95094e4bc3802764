package profile

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLifeOfAProfile(t *testing.T) {
	s := Store{Path: filepath.Join(t.TempDir(), "new", "profiles.json")}
	p, err := s.Get("")
	require.NoError(t, err)
	require.Nil(t, p, "none is used yet")
	_, err = s.Get("local")
	require.ErrorIs(t, err, ErrUnknown)
	require.ErrorIs(t, s.Use("local"), ErrUnknown)
	require.NoError(t, s.Put(&Profile{Name: "local", Metas: []string{"h:1"}, Table: "t", TLS: &TLS{Cert: "c", Key: "env:K"}}))
	require.NoError(t, s.Use("local"))
	p, err = s.Get("")
	require.NoError(t, err)
	require.Equal(t, &Profile{Name: "local", Metas: []string{"h:1"}, Table: "t", TLS: &TLS{Cert: "c", Key: "env:K"}}, p)
	info, err := os.Stat(s.Path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NoError(t, s.Remove("local"))
	p, err = s.Get("")
	require.NoError(t, err)
	require.Nil(t, p)
}

func TestDamagedFileIsAnError(t *testing.T) {
	for _, text := range []string{"{", `{"format":9}`, `[]`} {
		s := Store{Path: filepath.Join(t.TempDir(), "p")}
		require.NoError(t, os.WriteFile(s.Path, []byte(text), 0o600))
		_, err := s.Get("")
		require.Error(t, err, text)
		require.Error(t, s.Put(&Profile{Name: "x"}), "a file we do not understand is not overwritten")
	}
}

func TestSecretsAreReferences(t *testing.T) {
	for _, text := range []string{"", "geheim", "env:", "http://x"} {
		_, err := ParseSecret(text)
		require.Error(t, err, text)
	}
	t.Setenv("ARION_TEST_SECRET", "of the environment")
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte("of a file"), 0o600))
	for text, want := range map[string]string{"env:ARION_TEST_SECRET": "of the environment", "file:" + file: "of a file", "cmd:printf 'of a command'": "of a command"} {
		s, err := ParseSecret(text)
		require.NoError(t, err)
		got, err := s.Read(context.Background())
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
	_, err := Secret("env:ARION_TEST_NONE").Read(context.Background())
	require.Error(t, err)
	_, err = Secret("cmd:exit 3").Read(context.Background())
	require.Error(t, err)
}
