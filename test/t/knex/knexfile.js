// The connection comes from libpq's environment variables.
module.exports = {
	client: 'pg',
	connection: { host: process.env.PGHOST, port: process.env.PGPORT, database: process.env.PGDATABASE, user: process.env.PGUSER },
	searchPath: ['shop', 'public'],
	migrations: { directory: './migrations' },
};
