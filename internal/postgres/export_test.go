package postgres

import "context"

// Ask returns a query's first column, asked over the connection itself.
func (c *Conn) Ask(ctx context.Context, sql string) ([]string, error) {
	answers, err := c.query(ctx, sql)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, row := range answers[0] {
		all = append(all, string(row[0]))
	}
	return all, nil
}
