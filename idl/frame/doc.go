// Package frame reads and writes the frames of a connection: one request or
// reply with its header. There are three forms, fixed for a connection by its
// first four bytes.
//
// A THFT request has one of two headers, big endian, and a thrift message:
//
//	v0  | THFT | version 0 | 48 | crc | body len | crc | table | partition | timeout ms | thread hash | partition hash u64 | body |
//	v1  | THFT | version 1 | meta len | body len | request_meta | body |
//
// A THFT reply has no magic; its length counts itself:
//
//	| length | error name | message header REPLY, name + _ACK, seq | result struct |
//
// An RDSN frame has the same header both ways, see rdsn.go.
//
// A frame that breaks the rules of framing is ErrClose: the stream cannot be
// trusted after it. Nothing here allocates by a length it has not checked, and
// the payloads handed out alias the frame they were found in.
package frame
