package main

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/bindery-dev/bindery/cmd/internal/env"
)

type postgreSQL struct {
	at   string
	pool *pgxpool.Pool
}

func openPostgreSQL(variable, value string, _ env.Lookup) (service, error) {
	config, err := pgxpool.ParseConfig(value)
	if err != nil {
		return nil, fmt.Errorf("%s is not a URL of PostgreSQL", variable)
	}
	config.MaxConns, config.MaxConnIdleTime = mostConnections, longestIdle
	config.ConnConfig.ConnectTimeout = patience
	// A connection that the server has closed is found before it is used, however shortly before that was.
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return true }
	pool, err := pgxpool.NewWithConfig(context.Background(), config) // it opens no connection that is waited for
	if err != nil {
		return nil, fmt.Errorf("%s cannot be followed", variable)
	}
	first := config.ConnConfig
	return &postgreSQL{at: net.JoinHostPort(first.Host, strconv.Itoa(int(first.Port))), pool: pool}, nil
}

func (p *postgreSQL) endpoint() string { return p.at }

func (p *postgreSQL) prepare(ctx context.Context) error {
	_, err := p.pool.Exec(ctx, `CREATE TABLE IF NOT EXISTS orders (
		id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, reference UUID NOT NULL, placed_at TIMESTAMPTZ NOT NULL DEFAULT now())`)
	return err
}

func (p *postgreSQL) use(ctx context.Context, order string) (string, error) {
	if _, err := p.pool.Exec(ctx, "INSERT INTO orders (reference) VALUES ($1)", order); err != nil {
		return "", err
	}
	var count int64
	if err := p.pool.QueryRow(ctx, "SELECT count(*) FROM orders").Scan(&count); err != nil {
		return "", err
	}
	return fmt.Sprintf("inserted a row, of %d", count), nil
}

func (p *postgreSQL) close() { p.pool.Close() }
