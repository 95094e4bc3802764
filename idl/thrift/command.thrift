// Text commands to a server; the answer is a bare string.

namespace go admin

// RPC_CLI_CLI_CALL
struct command {
  1: string cmd
  2: list<string> arguments
}
