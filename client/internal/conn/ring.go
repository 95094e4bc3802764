package conn

import "math"

// entry is a request that waits for its reply.
type entry struct {
	sink    Sink
	attempt uint32
	seq     int32
	start   int64 // offset of the frame among those that were copied
	bulk    *bulk // the frame, if it was not copied
}

// ring finds entries by sequence number without hashing: numbers count up, and
// the slot is the number modulo the size. A slot still taken by a slow request
// costs its number, not a search. The size stays at least twice the load.
type ring struct {
	slots []entry
	n     int
	last  int32
}

const minRing = 64

// add gives e a number and returns its slot, which is valid until the next add.
func (r *ring) add(e entry) *entry {
	if 2*(r.n+1) > len(r.slots) {
		r.grow()
	}
	for {
		if r.last == math.MaxInt32 {
			r.last = 0
		}
		r.last++
		slot := r.at(r.last)
		if slot.sink == nil {
			e.seq = r.last
			*slot = e
			r.n++
			return slot
		}
	}
}

func (r *ring) at(seq int32) *entry { return &r.slots[int(seq)&(len(r.slots)-1)] }

// take removes and returns the entry of seq, if it is there.
func (r *ring) take(seq int32) (entry, bool) {
	if seq <= 0 || len(r.slots) == 0 {
		return entry{}, false
	}
	slot := r.at(seq)
	if slot.sink == nil || slot.seq != seq {
		return entry{}, false
	}
	e := *slot
	*slot = entry{}
	r.n--
	return e, true
}

// all gives a copy of the entries.
func (r *ring) all() []entry {
	all := make([]entry, 0, r.n)
	for _, e := range r.slots {
		if e.sink != nil {
			all = append(all, e)
		}
	}
	return all
}

// drain empties the ring.
func (r *ring) drain() []entry {
	all := r.all()
	r.slots, r.n = nil, 0
	return all
}

// grow doubles. Numbers distinct modulo the old size stay so modulo the new.
func (r *ring) grow() {
	old := r.slots
	r.slots = make([]entry, max(minRing, 2*len(old)))
	for _, e := range old {
		if e.sink != nil {
			*r.at(e.seq) = e
		}
	}
}
