package rocks

// #include "shim.h"
import "C"

// filterDrops asks the C++ filter about one record; tests compare it with
// engine.FilterDrop. It stands here because test files cannot use cgo.
func filterDrops(key, stored []byte, clock uint32) bool {
	return C.arion_filter_drops(ptr(key), C.size_t(len(key)), ptr(stored), C.size_t(len(stored)), C.uint32_t(clock)) != 0
}

// filterForeign asks the C++ filter the same of engine.FilterForeign.
func filterForeign(key []byte, index, count int32) bool {
	return C.arion_filter_foreign(ptr(key), C.size_t(len(key)), C.uint32_t(index), C.uint32_t(count)) != 0
}
