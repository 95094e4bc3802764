package host

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/idl/base"
	"github.com/arionkv/arion/idl/code"
	"github.com/arionkv/arion/idl/frame"
)

// metas answers SYNC by address and remembers who was asked.
type metas struct {
	answers map[string]func(*arion.SyncResponse) error
	asked   []string
}

func (m *metas) Call(_ context.Context, addr, _ string, _, result frame.Message) error {
	m.asked = append(m.asked, addr)
	answer, ok := m.answers[addr]
	if !ok {
		return errors.New("unreachable")
	}
	return answer(result.(*arion.SyncResponse))
}

func leads(r *arion.SyncResponse) error {
	r.Err = base.ErrorCodeOf(code.OK)
	return nil
}

func refers(to string) func(*arion.SyncResponse) error {
	return func(r *arion.SyncResponse) error {
		r.Err, r.LeaderAddress = base.ErrorCodeOf(code.ForwardToOthers), to
		return nil
	}
}

func TestSyncFindsTheLeader(t *testing.T) {
	for name, tc := range map[string]struct {
		answers map[string]func(*arion.SyncResponse) error
		known   string
		asked   []string
		leader  string // "" = fails
	}{
		"first one leads":      {map[string]func(*arion.SyncResponse) error{"a": leads}, "", []string{"a"}, "a"},
		"dead, then leads":     {map[string]func(*arion.SyncResponse) error{"b": leads}, "", []string{"a", "b"}, "b"},
		"known leader first":   {map[string]func(*arion.SyncResponse) error{"b": leads}, "b", []string{"b"}, "b"},
		"referral":             {map[string]func(*arion.SyncResponse) error{"a": refers("c"), "c": leads}, "", []string{"a", "c"}, "c"},
		"outside the list":     {map[string]func(*arion.SyncResponse) error{"a": refers("x"), "x": leads}, "", []string{"a", "x"}, "x"},
		"circle":               {map[string]func(*arion.SyncResponse) error{"a": refers("b"), "b": refers("a")}, "", []string{"a", "b", "b", "a", "c"}, ""},
		"refers to nobody":     {map[string]func(*arion.SyncResponse) error{"a": refers(""), "b": leads}, "", []string{"a", "b"}, "b"},
		"reply without a code": {map[string]func(*arion.SyncResponse) error{"a": func(*arion.SyncResponse) error { return nil }, "b": leads}, "", []string{"a", "b"}, "b"},
		"nobody":               {nil, "b", []string{"b", "a", "c"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := &metas{answers: tc.answers}
			l := metaLink{pool: m, servers: []string{"a", "b", "c"}, leader: tc.known}
			_, err := l.sync(context.Background(), arion.NewSyncRequest())
			require.Equal(t, tc.leader == "", err != nil, "%v", err)
			require.Equal(t, tc.asked, m.asked)
			require.Equal(t, tc.leader, l.leader)
		})
	}
}
