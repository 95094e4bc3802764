package rocks

// #include "shim.h"
import "C"

import "runtime/cgo"

// hook is an engine.Options.BeforeFlush as C knows it, 0 if there is none.
type hook uintptr

func newHook(f func()) hook {
	if f == nil {
		return 0
	}
	return hook(cgo.NewHandle(f))
}

// free is called once the database is closed.
func (h hook) free() {
	if h != 0 {
		cgo.Handle(h).Delete()
	}
}

//export arion_before_flush
func arion_before_flush(h C.uintptr_t) { cgo.Handle(h).Value().(func())() }
