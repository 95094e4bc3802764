package faulty_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/replica/engine"
	"github.com/arionkv/arion/replica/engine/enginetest"
	"github.com/arionkv/arion/replica/engine/faulty"
	"github.com/arionkv/arion/replica/engine/mem"
)

var errTest = errors.New("injected")

func TestHarmlessWithoutFaults(t *testing.T) {
	enginetest.Run(t, faulty.Opener{Base: mem.Opener{}, Plan: &faulty.Plan{}})
}

func open(t *testing.T, p *faulty.Plan, dir string) engine.Engine {
	e, err := faulty.Opener{Base: mem.Opener{}, Plan: p}.Open(dir, engine.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func TestEveryCallCanFail(t *testing.T) {
	var p faulty.Plan
	e := open(t, &p, t.TempDir())
	it, err := e.NewIter(engine.IterOptions{})
	require.NoError(t, err)
	defer it.Close()
	var page engine.Page
	for op, call := range map[faulty.Op]func() error{
		faulty.Get:      func() error { _, _, err := e.Get(nil, nil); return err },
		faulty.MultiGet: func() error { return e.MultiGet(nil, &page) },
		faulty.NewIter: func() error {
			it, err := e.NewIter(engine.IterOptions{})
			if err == nil {
				it.Close()
			}
			return err
		},
		faulty.Next:       func() error { return it.Next(1, 1, &page) },
		faulty.Apply:      func() error { return e.Apply(&engine.Batch{}) },
		faulty.Flush:      e.Flush,
		faulty.Checkpoint: func() error { return e.Checkpoint(filepath.Join(t.TempDir(), "cp")) },
		faulty.Compact:    func() error { return e.Compact(context.Background(), engine.CompactOptions{}) },
	} {
		for _, after := range []bool{false, true} {
			undo := p.Add(faulty.Fault{Op: op, Err: errTest, AfterCall: after})
			require.ErrorIs(t, call(), errTest, op)
			undo()
			require.NoError(t, call(), op)
		}
	}
	p.Add(faulty.Fault{Op: faulty.Open, Err: errTest, AfterCall: true})
	_, err = faulty.Opener{Base: mem.Opener{}, Plan: &p}.Open(t.TempDir(), engine.Options{})
	require.ErrorIs(t, err, errTest)
	p.Clear()
	it.Close()
	p.Add(faulty.Fault{Op: faulty.Close, Err: errTest})
	require.ErrorIs(t, e.Close(), errTest)
	require.ErrorIs(t, e.Flush(), engine.ErrClosed, "closed in spite of the fault")
}

func TestSkipTimesDir(t *testing.T) {
	var p faulty.Plan
	base := t.TempDir()
	struck, other := open(t, &p, filepath.Join(base, "struck")), open(t, &p, filepath.Join(base, "other"))
	p.Add(faulty.Fault{Op: faulty.Flush, Dir: "struck", Skip: 1, Times: 2, Err: errTest})
	var got []bool
	for range 5 {
		require.NoError(t, other.Flush())
		got = append(got, struck.Flush() != nil)
	}
	require.Equal(t, []bool{false, true, true, false, false}, got)
	require.Equal(t, 10, p.Calls(faulty.Flush))
}

func TestLostAnswer(t *testing.T) {
	var p faulty.Plan
	e := open(t, &p, t.TempDir())
	var b engine.Batch
	b.Put([]byte("k"), []byte("v"))
	p.Add(faulty.Fault{Op: faulty.Apply, Times: 1, Err: errTest})
	require.ErrorIs(t, e.Apply(&b), errTest)
	_, found, err := e.Get([]byte("k"), nil)
	require.NoError(t, err)
	require.False(t, found, "not made")
	p.Add(faulty.Fault{Op: faulty.Apply, Times: 1, Err: errTest, AfterCall: true})
	require.ErrorIs(t, e.Apply(&b), errTest)
	_, found, err = e.Get([]byte("k"), nil)
	require.NoError(t, err)
	require.True(t, found, "made")
}

func TestHookHoldsACall(t *testing.T) {
	var p faulty.Plan
	e := open(t, &p, t.TempDir())
	seen, release := make(chan struct{}), make(chan struct{})
	p.Add(faulty.Fault{Op: faulty.Flush, Times: 1, Hook: func() { close(seen); <-release }})
	done := make(chan error, 1)
	go func() { done <- e.Flush() }()
	<-seen
	require.NoError(t, e.Apply(&engine.Batch{}), "others go on")
	select {
	case <-done:
		t.Fatal("not held")
	default:
	}
	close(release)
	require.NoError(t, <-done)
}
