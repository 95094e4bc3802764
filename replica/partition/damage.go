package partition

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/arionkv/arion/internal/durable"
	"github.com/arionkv/arion/replica/engine"
)

// damageRetry is the pause between two attempts of a damaged replica to be rid of
// its leadership: of two damaged ones each may hand over to the other.
const damageRetry = time.Second

// NoteDamage tells the replica what a use of its engine came to. If stored bytes
// turn out to be damaged it stops leading as soon as another replica can, and
// reports itself as failed, so that the metas replace it. It goes on voting and,
// where nobody else can lead, serving what it can read: it may be the last.
func (p *Partition) NoteDamage(err error) {
	if !errors.Is(err, engine.ErrCorruption) || !p.machine.damage.CompareAndSwap(nil, &err) {
		return
	}
	p.log.WithError(err).Error("stored data is damaged: another replica is to lead, and this one to be replaced")
	notify(p.members.wake)
}

// Damage is what NoteDamage was told first of the engine, or nil.
func (p *Partition) Damage() error {
	if err := p.machine.damage.Load(); err != nil {
		return *err
	}
	return nil
}

// Yields reports whether the replica is damaged and another one can be expected to
// serve in its place before long. A new leader does not know the others yet.
func (p *Partition) Yields() bool {
	return p.Damage() != nil && (!p.leadership.get().mine || p.members.known.Load() == nil || p.successor() != 0)
}

// yield hands over what a damaged replica leads. It returns when to try again, or
// nil.
func (p *Partition) yield() <-chan time.Time {
	if p.Damage() == nil || !p.leadership.get().mine {
		return nil
	}
	if time.Since(p.yielded) >= damageRetry {
		p.handOver()
		p.yielded = time.Now()
	}
	return time.After(damageRetry)
}

// markDamaged makes the replica refuse to open from now on: what stopped the
// process while it applied an entry would stop it again.
func (p *place) markDamaged(err error) error {
	return durable.ReplaceFile(p.path(damagedFile), []byte(err.Error()+"\n"))
}

// damaged is the error of a replica that was marked, or nil.
func (p *place) damaged() error {
	text, err := os.ReadFile(p.path(damagedFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%w, as %s says: %s", engine.ErrCorruption, p.path(damagedFile), text)
}
