// Package base holds the types that the IDL declares as empty structs but that
// travel as bare payloads: tagged as a struct wherever a tag is written, yet
// without field headers and without a STOP. Their Read and Write therefore
// bypass the struct encoding altogether.
//
// Write may be called on a nil pointer and then writes the type's empty value:
// generated code writes every field of default requiredness, and readers need
// all of them. Accessors tolerate nil for the same reason on the reading side,
// where any field may be absent.
package base
