package wal

import (
	"slices"
	"sort"

	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
)

// replica is what the log says of one. Guarded by the store's mutex.
type replica struct {
	id        raftio.NodeInfo
	state     pb.State
	snapshot  []byte // encoded, nil = none
	snapIndex uint64
	bootstrap []byte // encoded, nil = none
	// compacted is the index up to which entries are not needed, last that of the
	// newest one. What is between is in pages.
	compacted, last uint64
	pages           []page
	// dirty: state or compacted is not in the log yet. See Store.dirty.
	dirty bool
}

// page says where up to pageRuns items with consecutive entries are, all in one
// segment. An item costs 6 bytes, whatever the number of entries in it.
type page struct {
	seg         *segment
	first, next uint64   // entries [first, next)
	bytes       int64    // counted as live in seg
	offs        []uint32 // of items, in units of 8 bytes
	starts      []uint16 // index of the first entry of an item, minus first
}

const pageRuns = 256

// place is an item with entries.
type place struct {
	seg   *segment
	off   int64 // in the file
	bytes int64
}

// extend adds an item if the page takes it.
func (p *page) extend(first uint64, count uint32, at place) bool {
	if p.seg != at.seg || p.next != first || len(p.offs) >= pageRuns || first-p.first > 0xffff {
		return false
	}
	p.offs = append(p.offs, uint32(at.off/8))
	p.starts = append(p.starts, uint16(first-p.first))
	p.next += uint64(count)
	p.bytes += at.bytes
	return true
}

// find returns the item that holds index, which is in the page.
func (p *page) find(index uint64) int {
	return sort.Search(len(p.starts), func(i int) bool { return p.first+uint64(p.starts[i]) > index }) - 1
}

// runEnd is the index behind the entries of item i that are valid.
func (p *page) runEnd(i int) uint64 {
	if i+1 < len(p.starts) {
		return p.first + uint64(p.starts[i+1])
	}
	return p.next
}

// search returns the first page that ends behind index.
func (r *replica) search(index uint64) int {
	return sort.Search(len(r.pages), func(i int) bool { return r.pages[i].next > index })
}

// append notes entries [first, first+count) as the end of the log.
func (r *replica) append(first uint64, count uint32, at place) {
	r.truncate(first)
	r.last = first + uint64(count) - 1
	at.seg.live += at.bytes
	if n := len(r.pages); n > 0 && r.pages[n-1].extend(first, count, at) {
		return
	}
	r.pages = append(r.pages, newPage(first, count, at))
}

func newPage(first uint64, count uint32, at place) page {
	p := page{seg: at.seg, first: first, next: first}
	p.extend(first, count, at)
	return p
}

// truncate drops the entries from index on.
func (r *replica) truncate(index uint64) {
	if r.last < index {
		return
	}
	i := r.search(index)
	if i < len(r.pages) && r.pages[i].first < index {
		r.split(i, index)
		i++
	}
	r.drop(i, len(r.pages))
	r.last = index - 1
	r.compacted = min(r.compacted, r.last)
}

// split makes two pages of page i, the second beginning with index.
func (r *replica) split(i int, index uint64) {
	p := &r.pages[i]
	run := p.find(index)
	right := page{seg: p.seg, first: index, next: p.next}
	for j := run; j < len(p.offs); j++ {
		start := max(p.first+uint64(p.starts[j]), index)
		right.offs = append(right.offs, p.offs[j])
		right.starts = append(right.starts, uint16(start-index))
	}
	keep := run
	if p.first+uint64(p.starts[run]) < index {
		keep++ // an item on both sides
	}
	right.bytes = p.bytes * int64(len(p.offs)-keep) / int64(len(p.offs))
	p.offs, p.starts, p.next = p.offs[:keep], p.starts[:keep], index
	p.bytes -= right.bytes
	r.pages = slices.Insert(r.pages, i+1, right)
}

// drop forgets pages [i, j).
func (r *replica) drop(i, j int) {
	for k := i; k < j; k++ {
		r.pages[k].seg.live -= r.pages[k].bytes
	}
	r.pages = slices.Delete(r.pages, i, j)
}

// move notes that entries [first, first+count) are at another place now.
func (r *replica) move(first uint64, count uint32, at place) {
	next := first + uint64(count)
	i := r.search(first)
	if i < len(r.pages) && r.pages[i].first < first {
		r.split(i, first)
		i++
	}
	j := i
	for j < len(r.pages) && r.pages[j].next <= next {
		j++
	}
	if j < len(r.pages) && r.pages[j].first < next {
		r.split(j, next)
		j++
	}
	r.drop(i, j)
	at.seg.live += at.bytes
	if i > 0 && r.pages[i-1].extend(first, count, at) {
		return
	}
	r.pages = slices.Insert(r.pages, i, newPage(first, count, at))
}

// compact makes entries up to index unneeded.
func (r *replica) compact(index uint64) bool {
	index = min(index, r.last)
	if index <= r.compacted {
		return false
	}
	r.compacted = index
	r.drop(0, r.search(index+1)) // the pages that end before index+1
	return true
}

// reset makes the log empty and end at index.
func (r *replica) reset(index uint64) {
	r.drop(0, len(r.pages))
	r.last, r.compacted = index, index
}

// gap returns entries that should be there and are not.
func (r *replica) gap() (from, to uint64, missing bool) {
	want := r.compacted + 1
	for i := range r.pages {
		p := &r.pages[i]
		if p.next <= want {
			continue
		}
		if p.first > want {
			return want, p.first - 1, true
		}
		want = p.next
	}
	return want, r.last, want <= r.last
}
