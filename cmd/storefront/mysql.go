package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/bindery-dev/bindery/cmd/internal/env"
	"github.com/bindery-dev/bindery/cmd/internal/handle"
)

const (
	// mostConnections of each Pod to each database.
	mostConnections = 10
	// longestIdle is less than what servers, and what is between, commonly keep a silent connection.
	longestIdle = time.Minute
)

type mySQL struct {
	handle handle.Handle
	db     *sql.DB
}

func openMySQL(variable, value string, _ env.Lookup) (service, error) {
	h, err := handle.Parse(variable, value, handle.Schemes{"mysql": "3306"})
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(h.Reveal())
	if err != nil {
		return nil, fmt.Errorf("%s is not a URL", variable)
	}
	// The driver reads no URL, but its own form; the user and the password need no escaping there.
	config, err := mysql.ParseDSN("tcp(" + h.Endpoint() + ")/" + url.PathEscape(strings.TrimPrefix(u.Path, "/")) + "?" + u.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("%s has an option that go-sql-driver/mysql does not know", variable)
	}
	config.User = u.User.Username()
	config.Passwd, _ = u.User.Password()
	config.Timeout, config.ReadTimeout, config.WriteTimeout = patience, patience, patience
	config.Logger = &mysql.NopLogger{} // what it logs it returns as well
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, fmt.Errorf("%s has an option that cannot be followed", variable)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(mostConnections)
	db.SetMaxIdleConns(mostConnections)
	db.SetConnMaxIdleTime(longestIdle)
	return &mySQL{handle: h, db: db}, nil
}

func (m *mySQL) endpoint() string { return m.handle.Endpoint() }

func (m *mySQL) prepare(ctx context.Context) error {
	_, err := m.db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS orders (
		id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, reference CHAR(36) NOT NULL, placed_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)`)
	return err
}

func (m *mySQL) use(ctx context.Context, order string) (string, error) {
	if _, err := m.db.ExecContext(ctx, "INSERT INTO orders (reference) VALUES (?)", order); err != nil {
		return "", err
	}
	var count int64
	if err := m.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM orders").Scan(&count); err != nil {
		return "", err
	}
	return fmt.Sprintf("inserted a row, of %d", count), nil
}

func (m *mySQL) close() { _ = m.db.Close() } // the process ends
