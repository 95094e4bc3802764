package rocks

// SharedBytes is the memory shared by the open databases: block cache, which
// includes the charge of memtables, and memtables.
func (o *Opener) SharedBytes() (blockCache, memtables uint64) {
	u := o.Usage()
	return u.BlockCacheBytes, u.MemtableBytes
}
