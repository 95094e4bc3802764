package enginetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/replica/engine"
)

// open opens an engine that the end of the test closes.
func open(t testing.TB, o engine.Opener, dir string) engine.Engine {
	t.Helper()
	e, err := o.Open(dir, engine.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e
}

// put applies one batch of alternating keys and values.
func put(t testing.TB, e engine.Engine, kv ...string) {
	t.Helper()
	var b engine.Batch
	for i := 0; i < len(kv); i += 2 {
		b.Put([]byte(kv[i]), []byte(kv[i+1]))
	}
	require.NoError(t, e.Apply(&b))
}

// all walks o to its end and renders rows as key=value.
func all(t testing.TB, e engine.Engine, o engine.IterOptions) (out []string) {
	t.Helper()
	it, err := e.NewIter(o)
	require.NoError(t, err)
	defer it.Close()
	var p engine.Page
	for {
		require.NoError(t, it.Next(3, 1<<20, &p))
		if p.Len() == 0 {
			return out
		}
		out = append(out, rows(&p)...)
	}
}

func rows(p *engine.Page) (out []string) {
	for i := range p.Len() {
		out = append(out, string(p.Key(i))+"="+string(p.Value(i)))
	}
	return out
}

func keys(s ...string) (out [][]byte) {
	for _, k := range s {
		out = append(out, []byte(k))
	}
	return out
}

// successor is the least key above all that start with prefix; nil if none.
func successor(prefix string) []byte {
	b := []byte(prefix)
	for len(b) > 0 && b[len(b)-1] == 0xff {
		b = b[:len(b)-1]
	}
	if len(b) == 0 {
		return nil
	}
	b[len(b)-1]++
	return b
}
