package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"time"

	"github.com/arionkv/arion/idl/arion"
	"github.com/arionkv/arion/test/cluster"
)

// hostFaults are what can be done to servers that are processes on hosts of their
// own.
type hostFaults struct {
	n    *cluster.Networked
	v    View
	rng  *rand.Rand
	want int // partitions, of all tables
	long bool
}

const (
	copies = 3 // of every partition
	// healing bounds how long the cluster may take to be whole again after a fault
	// is over: what users are promised.
	healing = 5 * time.Minute
	// repairDelay is short, so that faults of ordinary length lead to repair and
	// servers return in the middle of it.
	repairDelay = 8 * time.Second
)

// list gives the faults that this system and the time allow.
func (h *hostFaults) list() []Fault {
	faults := []Fault{
		{"kill replica server", 4, func(ctx context.Context) error { return h.kill(ctx, h.v.victim(ctx, h.rng)) }},
		{"pause replica server", 4, func(ctx context.Context) error { return h.pause(ctx, h.v.victim(ctx, h.rng)) }},
		{"restart replica server", 2, func(ctx context.Context) error { return h.restart(h.v.victim(ctx, h.rng)) }},
		{"kill meta server", 2, func(ctx context.Context) error { return h.kill(ctx, h.meta()) }},
		{"pause meta server", 2, func(ctx context.Context) error { return h.pause(ctx, h.meta()) }},
		{"restart meta server", 1, func(context.Context) error { return h.restart(h.meta()) }},
		{"kill several servers", 2, func(ctx context.Context) error { return h.kill(ctx, h.several()...) }},
		{"pause several servers", 2, func(ctx context.Context) error { return h.pause(ctx, h.several()...) }},
		{"kill everything", 1, func(ctx context.Context) error { return h.kill(ctx, h.n.Names()...) }},
		{"move leaders", 2, h.v.transfer(h.rng)},
	}
	if h.n.CanCut() {
		faults = append(faults,
			Fault{"cut off replica server", 3, func(ctx context.Context) error { return h.cut(ctx, h.v.victim(ctx, h.rng)) }},
			Fault{"cut off meta server", 1, func(ctx context.Context) error { return h.cut(ctx, h.meta()) }},
			Fault{"cut off several servers", 1, func(ctx context.Context) error { return h.cut(ctx, h.several()...) }},
			Fault{"cut one direction", 3, h.cutOneWay},
		)
		if h.n.Delay(h.n.Names()[0], time.Millisecond) == nil && h.n.Delay(h.n.Names()[0], 0) == nil {
			faults = append(faults, Fault{"delay packets", 2, h.delay})
		}
	}
	if !h.long {
		return faults
	}
	if len(h.n.OwnDisks()) > 0 {
		faults = append(faults, Fault{"disk nearly full", 1, h.disk(8 << 20)}, Fault{"disk full", 1, h.disk(0)})
	}
	return append(faults,
		Fault{"long absence", 2, h.absence},
		Fault{"replica server loses its disk", 1, h.wipe},
		Fault{"replica server replaced", 1, h.replace},
	)
}

func (h *hostFaults) meta() string { return h.n.MetaNames()[h.rng.IntN(len(h.n.MetaNames()))] }

// several are two servers or more, of any role.
func (h *hostFaults) several() []string {
	names := h.n.Names()
	h.rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names[:2+h.rng.IntN(len(names)-1)]
}

func (h *hostFaults) kill(ctx context.Context, names ...string) error {
	if err := h.n.Kill(names...); err != nil {
		return err
	}
	pause(ctx, h.rng, 10*time.Millisecond, 2500*time.Millisecond)
	return h.n.StartAll()
}

func (h *hostFaults) restart(name string) error {
	h.n.Stop(name)
	return h.n.StartAll()
}

func (h *hostFaults) pause(ctx context.Context, names ...string) error {
	for _, name := range names {
		if err := h.n.Signal(name, syscall.SIGSTOP); err != nil {
			return err
		}
	}
	pause(ctx, h.rng, 100*time.Millisecond, 4*time.Second)
	var errs []error
	for _, name := range names {
		errs = append(errs, h.n.Signal(name, syscall.SIGCONT))
	}
	return errors.Join(errs...)
}

func (h *hostFaults) cut(ctx context.Context, names ...string) error {
	if err := h.n.Cut(names...); err != nil {
		return err
	}
	pause(ctx, h.rng, 300*time.Millisecond, 5*time.Second)
	return h.n.Mend(names...)
}

// cutOneWay cuts what a replica server sends to some of the others: it hears them
// and is not heard.
func (h *hostFaults) cutOneWay(ctx context.Context) error {
	from := h.v.victim(ctx, h.rng)
	var to []string
	for _, name := range h.n.Names() {
		if name != from && h.rng.IntN(3) > 0 {
			if err := h.n.CutOneWay(from, name); err != nil {
				return err
			}
			to = append(to, name)
		}
	}
	pause(ctx, h.rng, 300*time.Millisecond, 5*time.Second)
	var errs []error
	for _, name := range to {
		errs = append(errs, h.n.MendOneWay(from, name))
	}
	return errors.Join(errs...)
}

func (h *hostFaults) delay(ctx context.Context) error {
	name := h.n.Names()[h.rng.IntN(len(h.n.Names()))]
	if err := h.n.Delay(name, 10*time.Millisecond+time.Duration(h.rng.Int64N(int64(400*time.Millisecond)))); err != nil {
		return err
	}
	pause(ctx, h.rng, 500*time.Millisecond, 4*time.Second)
	return h.n.Delay(name, 0)
}

// disk fills a disk to this rest and makes room again. A server that could not
// write to it has ended, and is started again as a supervisor would.
func (h *hostFaults) disk(leave int64) func(context.Context) error {
	return func(ctx context.Context) error {
		own := h.n.OwnDisks()
		name := own[h.rng.IntN(len(own))]
		if err := h.n.FillDisk(name, leave); err != nil {
			return err
		}
		pause(ctx, h.rng, 2*time.Second, 8*time.Second)
		if err := h.n.EmptyDisk(name); err != nil {
			return err
		}
		for _, died := range h.n.Died() {
			if died == name {
				return h.n.Restart(name)
			}
		}
		return nil
	}
}

// absence outlasts the repair delay: the server returns while it is replaced, or
// after.
func (h *hostFaults) absence(ctx context.Context) error {
	name := h.v.victim(ctx, h.rng)
	if err := h.n.Kill(name); err != nil {
		return err
	}
	pause(ctx, h.rng, repairDelay, 2*repairDelay)
	return h.n.StartAll()
}

// wipe lets a server come back with an empty directory. Two of these before the
// first is repaired would be the loss of a majority.
func (h *hostFaults) wipe(ctx context.Context) error {
	if err := h.whole(ctx); err != nil {
		return over(ctx, err)
	}
	if err := h.n.Wipe(h.v.victim(ctx, h.rng)); err != nil {
		return err
	}
	pause(ctx, h.rng, 10*time.Millisecond, 3*time.Second)
	if err := h.n.StartAll(); err != nil {
		return err
	}
	return over(ctx, h.whole(ctx))
}

// replace removes a server for good and adds a fresh one elsewhere.
func (h *hostFaults) replace(ctx context.Context) error {
	if err := h.whole(ctx); err != nil {
		return over(ctx, err)
	}
	// A disk of its own stays in the game.
	name := h.n.Replicas()[0]
	for h.owns(name) {
		name = h.n.Replicas()[h.rng.IntN(len(h.n.Replicas()))]
	}
	if err := h.n.Retire(name); err != nil {
		return err
	}
	pause(ctx, h.rng, 10*time.Millisecond, repairDelay)
	if _, err := h.n.Add(); err != nil {
		return err
	}
	if err := h.n.StartAll(); err != nil {
		return err
	}
	return over(ctx, h.whole(ctx))
}

func (h *hostFaults) owns(name string) bool {
	for _, own := range h.n.OwnDisks() {
		if own == name {
			return true
		}
	}
	return false
}

// over forgives a wait that the end of the run cut short.
func over(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// whole waits until every partition has all its replicas at work, in the eyes of
// the replicas and of the metas.
func (h *hostFaults) whole(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healing)
	defer cancel()
	for {
		err := h.v.Whole(ctx, h.want, copies)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not whole within %v: %w", healing, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Whole is nil if each of so many partitions has a leader, and as many voting
// members as wanted, all serving, and the metas have nothing to repair.
func (v View) Whole(ctx context.Context, partitions, copies int) error {
	serving := map[[3]int64]bool{}
	for _, status := range v.Status(ctx) {
		for _, r := range status.Replicas {
			serving[[3]int64{int64(r.TableID), int64(r.PartitionIndex), r.ReplicaID}] = r.State == arion.ReplicaState_SERVING
		}
	}
	leaders := v.Leaders(ctx)
	if len(leaders) != partitions {
		return fmt.Errorf("%d of %d partitions have leaders", len(leaders), partitions)
	}
	for _, l := range leaders {
		at := 1
		for _, id := range l.Others {
			if serving[[3]int64{int64(l.Table), int64(l.Partition), id}] {
				at++
			}
		}
		if at != copies || len(l.Others)+1 != copies {
			return fmt.Errorf("partition %d.%d has %d voting members, %d of them serving", l.Table, l.Partition, len(l.Others)+1, at)
		}
	}
	for _, meta := range v.Metas() {
		text, err := v.Admin.RemoteCommand(ctx, meta, "repair.status")
		if err != nil {
			return err
		}
		if !strings.HasPrefix(text, "every partition has all") {
			return errors.New(text)
		}
	}
	return nil
}
