// The types that every language replaces by hand-written code. They are tagged
// as structs wherever a tag is written, but what follows the tag is a bare
// payload without field headers and without STOP. The Go side is package
// idl/base; what the compiler makes of this file is thrown away.

namespace go base

// i32 length, bytes.
struct blob {}

// i32 length, name such as ERR_OK. Never empty when written.
struct error_code {}

// i32 length, name.
struct task_code {}

// i64: partition index in the high half, table id in the low half.
struct gpid {}

// i64: IPv4 in the high half, port in bits 16 to 31, kind (1) in bits 0 and 1.
struct rpc_address {}

// i32 length, host text; i16 port, to be read as unsigned; i8 kind.
struct host_port {}
