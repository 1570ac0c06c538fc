exports.up = async (knex) => {
	await knex.schema.createTable('orders', (t) => {
		t.increments('id');
		t.string('state', 20).notNullable().defaultTo('new');
		t.jsonb('lines');
		t.timestamps(true, true);
		t.index(['state']);
	});
	await knex.schema.alterTable('notes', (t) => {
		t.boolean('pinned').notNullable().defaultTo(false);
	});
};
exports.down = async (knex) => {
	await knex.schema.dropTable('orders');
};
