namespace go admin


struct command {
  1: string cmd
  2: list<string> arguments
}
