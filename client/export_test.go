package client

// TableForTest makes a table that cannot do I/O.
func (c *Client) TableForTest(name string) *Table { return &Table{c: c, name: name} }

// Resting reports that nothing is being fetched, ahead or on demand.
func (s *Scanner) Resting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.fetching
}

// DecodeForTest decodes a page and frees its memory.
func (s *Scanner) DecodeForTest(body []byte) (rows int, err error) {
	a, err := s.decode(new(call), body)
	if err != nil {
		return 0, err
	}
	rows = len(a.rows)
	a.memory.free()
	return rows, nil
}
