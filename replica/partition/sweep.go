package partition

import (
	"github.com/arionkv/arion/replica/apply"
	"github.com/arionkv/arion/replica/command"
)

// Sweep proposes a step of a pass over the records; only the leader can. nil means
// that the step was applied here, be it in vain because another was quicker: the
// stored pass (apply.LoadPass) tells.
func (p *Partition) Sweep(s command.Sweep, done func(error)) {
	p.enqueue(write{kind: command.KindSweep, args: s.AppendTo(nil), done: func(_ apply.Result, err error) { done(err) }})
}
