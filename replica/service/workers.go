package service

import (
	"runtime"
	"sync"
)

const (
	// workersPerCPU: a range read waits for disk now and then, and each holds an
	// OS thread inside cgo, so a few per core keep it busy without a crowd.
	workersPerCPU = 4
	// maxQueued is what may wait for a worker; beyond it clients are told to
	// come back, which is sooner than a second of waiting in line.
	maxQueued = 1024
)

// workers runs range reads, a bounded number at a time.
type workers struct {
	tasks chan func()
	wg    sync.WaitGroup

	mu     sync.RWMutex // held for reading while a task is added
	closed bool
}

func newWorkers() *workers {
	w := &workers{tasks: make(chan func(), maxQueued)}
	for range workersPerCPU * runtime.GOMAXPROCS(0) {
		w.wg.Add(1)
		go func() {
			defer w.wg.Done()
			for task := range w.tasks {
				task()
			}
		}()
	}
	return w
}

// run queues a task; false when the queue is full or closed.
func (w *workers) run(task func()) bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return false
	}
	select {
	case w.tasks <- task:
		return true
	default:
		return false
	}
}

// close lets queued tasks finish.
func (w *workers) close() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.tasks)
	}
	w.mu.Unlock()
	w.wg.Wait()
}
