// Package route finds out who leads which partition: it asks the meta servers
// and keeps what they said until an error proves it stale.
package route

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/arionkv/arion/client/internal/conn"
	"github.com/arionkv/arion/client/internal/wire"
	"github.com/arionkv/arion/idl/admin"
	"github.com/arionkv/arion/idl/code"
)

const (
	queryRPC = "RPC_CM_QUERY_PARTITION_CONFIG_BY_INDEX"

	// patience is how long one meta server may think before another is asked too.
	patience = 300 * time.Millisecond
	// maxMetas bounds the list against referrals that never end.
	maxMetas = 64

	pauseMin = 20 * time.Millisecond
	pauseMax = 500 * time.Millisecond
)

// Metas is the set of meta servers, in the order to ask them.
type Metas struct {
	pool *conn.Pool

	mu    sync.Mutex
	addrs []string
	first int // the one that answered last
}

// NewMetas makes the set; addrs must not be empty.
func NewMetas(pool *conn.Pool, addrs []string) *Metas {
	return &Metas{pool: pool, addrs: append([]string(nil), addrs...)}
}

// order lists the servers, the preferred one first.
func (m *Metas) order() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := append([]string(nil), m.addrs[m.first:]...)
	return append(list, m.addrs[:m.first]...)
}

// prefer puts addr first from now on, learning it if it is new.
func (m *Metas) prefer(addr string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, a := range m.addrs {
		if a == addr {
			m.first = i
			return
		}
	}
	if len(m.addrs) < maxMetas {
		m.addrs = append(m.addrs, addr)
		m.first = len(m.addrs) - 1
	}
}

// verdict of one answer.
type verdict int

const (
	final   verdict = iota // an answer, good or bad
	another                // ask another server
)

// judge looks at a reply; referral is the server it points to, if any.
type judge func(wire.Reply) (v verdict, referral string, err error)

type answer struct {
	addr     string
	verdict  verdict
	referral string
	err      error
}

// ask sends frame to one server after the other until an answer is final or ctx
// ends. With hedge, a slow server does not hold up the question: the next is
// asked as well, which needs a call that may run twice.
func (m *Metas) ask(ctx context.Context, frame []byte, hedge bool, j judge) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pause := pauseMin
	for {
		err := m.round(ctx, frame, hedge, j)
		if err == nil || !errors.Is(err, errNobody) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(pause):
		}
		pause = min(2*pause, pauseMax)
	}
}

var errNobody = errors.New("no meta server answered")

// round asks every known server at most once, and those they refer to.
func (m *Metas) round(ctx context.Context, frame []byte, hedge bool, j judge) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	todo := m.order()
	asked := map[string]bool{}
	answers := make(chan answer)
	open := 0
	var last error
	next := func() {
		for len(todo) > 0 {
			addr := todo[0]
			todo = todo[1:]
			if asked[addr] {
				continue
			}
			asked[addr] = true
			open++
			go m.one(ctx, addr, frame, j, answers)
			return
		}
	}
	// Whoever is still out when we return must not block for ever.
	defer func() {
		cancel()
		for ; open > 0; open-- {
			<-answers
		}
	}()
	next()
	for open > 0 {
		var late <-chan time.Time
		if hedge && len(todo) > 0 {
			late = time.After(patience)
		}
		select {
		case a := <-answers:
			open--
			if a.verdict == final {
				if a.err == nil {
					m.prefer(a.addr)
				}
				return a.err
			}
			last = a.err
			if a.referral != "" && !asked[a.referral] && len(asked) < maxMetas {
				todo = append([]string{a.referral}, todo...)
			}
			if open == 0 || a.referral != "" {
				next()
			}
		case <-late:
			next()
		}
	}
	return fmt.Errorf("%w: %w", errNobody, last)
}

func (m *Metas) one(ctx context.Context, addr string, frame []byte, j judge, answers chan<- answer) {
	a := answer{addr: addr}
	own := append([]byte(nil), frame...)
	r, err := m.pool.Call(ctx, addr, own)
	switch {
	case err != nil:
		a.verdict, a.err = another, fmt.Errorf("meta %s: %w", addr, err)
	case !r.OK():
		c, _ := code.Parse(string(r.Code))
		a.err = fmt.Errorf("meta %s: %w", addr, &code.Error{Code: c})
		if c.Class() != code.ClassPermanent {
			a.verdict = another
		}
	default:
		a.verdict, a.referral, a.err = j(r)
		if a.err != nil {
			a.err = fmt.Errorf("meta %s: %w", addr, a.err)
		}
	}
	if errors.Is(a.err, conn.ErrClosed) {
		a.verdict = final
	}
	answers <- a
}

// Call runs one administrative call on whichever meta server takes it. errOf
// reads the outcome from result after it was filled.
//
// A server that says it does not lead has not acted, so the next is tried. A
// connection lost midway ends a call that is not repeatable: it may have run.
func (m *Metas) Call(ctx context.Context, rpc string, arg, result wire.Message, repeatable bool, outcome func() error) error {
	frame := wire.AppendRequest(nil, rpc, arg)
	deadline(ctx, frame)
	if !repeatable {
		return m.callOnce(ctx, frame, result, outcome)
	}
	var mu sync.Mutex // judges of two servers may meet over the one result
	return m.ask(ctx, frame, false, func(r wire.Reply) (verdict, string, error) {
		mu.Lock()
		defer mu.Unlock()
		if err := wire.Decode(r.Body, result); err != nil {
			return another, "", err
		}
		err := outcome()
		if tryAnother(err) {
			return another, "", err
		}
		return final, "", err
	})
}

// callOnce goes on to the next server only when the last one surely did nothing.
func (m *Metas) callOnce(ctx context.Context, frame []byte, result wire.Message, outcome func() error) error {
	pause := pauseMin
	for {
		var last error
		for _, addr := range m.order() {
			c, err := m.pool.Connect(ctx, addr)
			if err != nil {
				last = fmt.Errorf("meta %s: %w", addr, err)
				continue
			}
			r, err := c.Call(ctx, frame)
			if err != nil {
				return fmt.Errorf("meta %s: %w", addr, &code.Error{Code: code.NetworkFailure, Hint: err.Error()})
			}
			if !r.OK() {
				c, _ := code.Parse(string(r.Code))
				err = &code.Error{Code: c}
			} else if err = wire.Decode(r.Body, result); err == nil {
				err = outcome()
			}
			if !tryAnother(err) {
				if err == nil {
					m.prefer(addr)
					return nil
				}
				return fmt.Errorf("meta %s: %w", addr, err)
			}
			last = fmt.Errorf("meta %s: %w", addr, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), last)
		case <-time.After(pause):
		}
		pause = min(2*pause, pauseMax)
	}
}

// tryAnother is true for answers of a server that does not lead or is not ready.
func tryAnother(err error) bool {
	switch code.Of(err) {
	case code.ForwardToOthers, code.ServiceNotActive, code.UnderRecovery:
		return true
	}
	return false
}

// deadline writes the time left into the frame, as a hint to the server.
func deadline(ctx context.Context, frame []byte) {
	ms := int64(0)
	if at, ok := ctx.Deadline(); ok {
		ms = min(max(1, time.Until(at).Milliseconds()), 1<<30)
	}
	wire.SetRoute(frame, wire.Route{TimeoutMS: int32(ms)})
}

// Query asks for the routing of a table. A missing table is code.ObjectNotFound.
func (m *Metas) Query(ctx context.Context, table string) (*admin.QueryCfgResponse, error) {
	arg := admin.NewQueryCfgRequest()
	arg.AppName = table
	frame := wire.AppendRequest(nil, queryRPC, arg)
	deadline(ctx, frame)
	var mu sync.Mutex
	var got *admin.QueryCfgResponse
	err := m.ask(ctx, frame, true, func(r wire.Reply) (verdict, string, error) {
		q := admin.NewQueryCfgResponse()
		if err := wire.Decode(r.Body, q); err != nil {
			return another, "", err
		}
		c, _ := code.Parse(q.Err.String())
		switch {
		case c == code.OK:
			mu.Lock()
			defer mu.Unlock()
			got = q
			return final, "", nil
		case c == code.ForwardToOthers && len(q.Partitions) > 0:
			return another, q.Partitions[0].Primary.String(), &code.Error{Code: c}
		case c.Class() == code.ClassPermanent || c == code.ObjectNotFound:
			return final, "", &code.Error{Code: c}
		}
		return another, "", &code.Error{Code: c}
	})
	if err != nil {
		return nil, err
	}
	mu.Lock()
	defer mu.Unlock()
	return got, nil
}
