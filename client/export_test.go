package client

// TableForTest makes a table that cannot do I/O.
func (c *Client) TableForTest(name string) *Table { return &Table{c: c, name: name} }
