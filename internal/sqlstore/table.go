package sqlstore

import (
	"context"
	"database/sql"
	"strings"
)

// table is a table of which all engines have the same columns.
type table struct {
	name    string
	columns []column
	key     []int // of columns, which tell rows apart
	own     []any // what is not copied: names of values in meta
}

type column struct{ name, kind string }

// value is a part of a key, as an argument.
func (c column) value(b []byte) any {
	if c.kind == "TEXT" {
		return string(b)
	}
	return b
}

func (t table) names() []string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return names
}

func (t table) keyOf(row []any) [][]byte {
	var key [][]byte
	for _, i := range t.key {
		switch v := row[i].(type) {
		case *string:
			key = append(key, []byte(*v))
		case []byte:
			key = append(key, v)
		}
	}
	return key
}

// tables reads the schema of a file. It leaves out what each store has for itself.
func (d *DB) tables(ctx context.Context) ([]table, error) {
	rows, err := d.query(ctx, `
		SELECT t.name, c.name, c.type, c.pk FROM sqlite_schema t JOIN pragma_table_info(t.name) c
		WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name NOT LIKE 'goose%'
		ORDER BY t.name, c.cid`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []table
	for rows.Next() {
		var name string
		var c column
		var key bool
		if err := rows.Scan(&name, &c.name, &c.kind, &key); err != nil {
			return nil, d.classify(err)
		}
		if len(all) == 0 || all[len(all)-1].name != name {
			all = append(all, table{name: name})
		}
		t := &all[len(all)-1]
		switch {
		case key && c.kind == "INTEGER": // a number that the engine gives
			continue
		case key || name == "tokens" && c.name == "access_hash":
			t.key = append(t.key, len(t.columns))
		}
		t.columns = append(t.columns, c)
		if name == "meta" {
			t.own = []any{unfinishedCopy, "schema_floor", "node_id"}
		}
	}
	return all, d.classify(rows.Err())
}

func (d *DB) count(ctx context.Context, t table) (n int64, err error) {
	err = d.get(ctx, `SELECT COUNT(*) FROM `+t.name+t.where(nil).String(), t.own, &n)
	return n, err
}

// where leaves out what is not copied, and what does not come after a key.
func (t table) where(after []any) *condition {
	w := &condition{}
	if len(t.own) > 0 {
		w.add("name NOT IN (%s, %s, %s)", t.own...)
	}
	if len(after) > 0 {
		names, marks := t.names(), strings.Repeat(", %s", len(after))[2:]
		var key []string
		for _, i := range t.key {
			key = append(key, names[i])
		}
		w.add("("+strings.Join(key, ", ")+") > ("+marks+")", after...)
	}
	return w
}

// eachRow calls f with each row that comes after a key, in order of the key. The
// values are *string, sql.NullInt64 and []byte.
func (d *DB) eachRow(ctx context.Context, t table, after []any, f func(row []any) error) error {
	names := t.names()
	var order []string
	for _, i := range t.key {
		order = append(order, names[i])
	}
	w := t.where(after)
	rows, err := d.queryOnce(ctx, `SELECT `+strings.Join(names, ", ")+` FROM `+t.name+w.String()+` ORDER BY `+strings.Join(order, ", "), w.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		row, dest := make([]any, len(t.columns)), make([]any, len(t.columns))
		for i, c := range t.columns {
			switch c.kind {
			case "TEXT":
				dest[i] = new(*string)
			case "INTEGER":
				dest[i] = new(sql.NullInt64)
			default:
				dest[i] = new([]byte)
			}
		}
		if err := rows.Scan(dest...); err != nil {
			return d.classify(err)
		}
		for i, p := range dest {
			switch p := p.(type) {
			case **string:
				row[i] = *p
			case *sql.NullInt64:
				row[i] = *p
			case *[]byte:
				row[i] = *p
			}
		}
		if err := f(row); err != nil {
			return err
		}
	}
	return d.classify(rows.Err())
}
