// The C heap, in which blocks and memtables live.
#include <stdlib.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <malloc.h>

// glibc spreads the threads of a process over up to eight arenas per processor. A
// block is allocated in the arena of the reader that missed it and freed by whoever
// evicts it, and each arena keeps the room that its blocks have left. With a block
// cache of 115 MB and scans on two processors 16 arenas took 290 MB, one took 120 MB,
// at the same CPU time per page: blocks are few and large, and what is small comes
// from the threads' own caches. The number is fixed when the second thread allocates,
// hence a constructor; whoever knows better sets MALLOC_ARENA_MAX.
static constexpr long kProcessorsPerArena = 4;

__attribute__((constructor)) static void LimitArenas() {
  if (getenv("MALLOC_ARENA_MAX") != nullptr) return;
  const long processors = sysconf(_SC_NPROCESSORS_ONLN);
  mallopt(M_ARENA_MAX, processors > kProcessorsPerArena ? static_cast<int>(processors / kProcessorsPerArena) : 1);
}
#endif
