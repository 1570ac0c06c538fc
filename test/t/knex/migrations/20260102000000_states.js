exports.up = async (knex) => {
	await knex.schema.withSchema('shop').createTable('states', (t) => {
		t.string('name').primary();
		t.integer('rank');
		t.decimal('share', 10, 4);
		t.specificType('since', 'timestamptz');
	});
	// Sent with parameters
	await knex('states').insert([
		{ name: "it's new", rank: 1, share: '0.1250', since: '2026-01-02T03:04:05Z' },
		{ name: 'back\\slash', rank: null, share: null, since: null },
	]);
	await knex('states').where({ rank: 1 }).update({ rank: 2 });
	await knex.raw('CREATE VIEW open_orders AS SELECT id FROM shop.orders WHERE state <> \'done\'');
};
exports.down = async (knex) => {
	await knex.schema.dropTable('states');
};
