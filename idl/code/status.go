package code

import "strconv"

// Status is the outcome of a data operation, carried as a number in the error
// field of its reply. The numbers are part of the protocol.
type Status int32

const (
	StatusOK                 Status = 0
	StatusNotFound           Status = 1
	StatusCorruption         Status = 2
	StatusNotSupported       Status = 3
	StatusInvalidArgument    Status = 4
	StatusIOError            Status = 5
	StatusMergeInProgress    Status = 6
	StatusIncomplete         Status = 7 // a limit cut the answer short
	StatusShutdownInProgress Status = 8
	StatusTimedOut           Status = 9
	StatusAborted            Status = 10
	StatusBusy               Status = 11
	StatusExpired            Status = 12
	StatusTryAgain           Status = 13 // the check of a conditional write did not pass
)

var statusNames = [...]string{
	"Ok", "NotFound", "Corruption", "NotSupported", "InvalidArgument", "IOError", "MergeInProgress",
	"Incomplete", "ShutdownInProgress", "TimedOut", "Aborted", "Busy", "Expired", "TryAgain",
}

func (s Status) String() string {
	if s >= 0 && int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "Status(" + strconv.Itoa(int(s)) + ")"
}
