// Package obs is what every server shows of itself: the logger and its adapters
// for the libraries that bring their own, and the HTTP handler with metrics,
// health and profiles. It holds no state of a server, so that several servers
// live in one process.
package obs
