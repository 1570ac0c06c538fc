# What the TAP tests share: a cluster with the extension, sessions that can be
# left waiting, and the state of a tenant.
package Tenancy;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use IPC::Run qw(start pump finish timeout);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(init_cluster new_cluster new_application registry_of objects_of same_lines session sqlstate state_of leftovers slow recovered gate_function definition differences $gate);

# Give up on whatever does not happen within this time.
our $patience = 180;

# The advisory lock of gate_function()
our $gate = 4711;

# A cluster, careless with its data; further lines for postgresql.conf, after a hash, if
# need be, with options for initdb, and where another PostgreSQL is installed.
sub init_cluster
{
	my ($name, @conf) = @_;
	my %how = ref $conf[0] ? %{ shift @conf } : ();
	my $node = PostgreSQL::Test::Cluster->new($name, install_path => $how{install_path});

	$node->init(extra => [ '--locale=C', '--encoding=UTF8', '--no-sync', @{ $how{initdb} // [] } ]);
	$node->append_conf('postgresql.conf', join("\n",
		'fsync = off', 'full_page_writes = off', 'max_worker_processes = 20',
		'autovacuum_naptime = 1d', 'restart_after_crash = on', 'log_min_messages = warning', @conf, ''));
	return $node;
}

# The same, running, with roles.
sub new_cluster
{
	my $node = init_cluster(@_);

	$node->start;
	$node->safe_psql('postgres', q{
		CREATE ROLE shop_owner NOLOGIN;
		CREATE ROLE app LOGIN;
		CREATE ROLE clerk LOGIN;
		CREATE ROLE stranger LOGIN;
	});
	return $node;
}

# A database with the extension, and a module with one table or as many as
# asked for.
sub new_application
{
	my ($node, $database, %how) = @_;
	my $tables = $how{tables} // 1;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, q{
		CREATE EXTENSION tenancy;
		CREATE SCHEMA shop AUTHORIZATION shop_owner;
		SET ROLE shop_owner;
		CREATE TABLE shop.notes (note text NOT NULL, PRIMARY KEY (note));
		GRANT USAGE ON SCHEMA shop TO app, clerk, stranger;
		GRANT SELECT, INSERT, UPDATE, DELETE ON shop.notes TO app, clerk, stranger;
	});
	$node->safe_psql($database, qq{
		SET ROLE shop_owner;
		SELECT format('CREATE TABLE shop.bulk%s (a int PRIMARY KEY, b text UNIQUE, c text)', n)
		FROM generate_series(2, $tables) n \\gexec
	});
	$node->safe_psql($database, q{
		SELECT tenancy.create_module('shop', 'shop');
		SELECT * FROM tenancy.protect_module('shop');
		SELECT tenancy.grant_access('app');
	});
	return;
}

# A function of shop's owner for a CHECK constraint, at which whoever copies rows waits while
# a session holds the advisory lock $gate.  That is in one database; in others, he waits
# while there is a session whose application_name is gate.
sub gate_function
{
	my ($database) = @_;

	return qq{
	CREATE FUNCTION shop.pass(text) RETURNS boolean LANGUAGE plpgsql AS \$\$
		BEGIN
			IF current_setting('session_replication_role') = 'replica' THEN
				IF current_user <> 'shop_owner' OR session_user = 'shop_owner' THEN
					RAISE 'planted code runs as %', current_user;
				END IF;
				PERFORM pg_advisory_xact_lock_shared($gate);
				WHILE current_database() <> '$database' AND EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'gate') LOOP
					PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
				END LOOP;
			END IF;
			RETURN true;
		END\$\$;
	};
}

# What the registry knows, by names.
sub registry_of
{
	my ($node, $database) = @_;

	return $node->safe_psql($database, q{
		SELECT 'tenant', t::text FROM tenancy.tenant t
		UNION ALL SELECT 'module', m::text FROM tenancy.module m
		UNION ALL SELECT 'access', role || ' ' || COALESCE(tenant_id::text, 'all') FROM tenancy.access
		UNION ALL SELECT 'protected', relation || ' ' || tenant_column || had_row_security || had_force FROM tenancy.protected_table
		UNION ALL SELECT 'intact', table_name || row_security || policies_intact || tables FROM tenancy.protected_tables
		UNION ALL SELECT 'pending', p::text FROM tenancy.pending_database p
		ORDER BY 1, 2});
}

# What keeps tenants apart, by names: policies, flags, privileges, triggers, defaults and
# constraints.
sub objects_of
{
	my ($node, $database) = @_;

	return $node->safe_psql($database, q{
		SELECT 'policy', concat_ws(' ', polrelid::regclass, polname, polpermissive, polcmd, polroles, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) FROM pg_policy
		UNION ALL SELECT 'rls', concat_ws(' ', oid::regclass, relrowsecurity, relforcerowsecurity) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text ~ 'tenan|shop|addons'
		UNION ALL SELECT 'function', concat_ws(' ', oid::regprocedure, (SELECT string_agg(x::text, ',' ORDER BY x::text) FROM unnest(COALESCE(proacl, acldefault('f', proowner))) x)) FROM pg_proc WHERE pronamespace = 'tenancy'::regnamespace
		UNION ALL SELECT 'schema', concat_ws(' ', nspname, nspowner::regrole, (SELECT string_agg(x::text, ',' ORDER BY x::text) FROM unnest(COALESCE(nspacl, acldefault('n', nspowner))) x)) FROM pg_namespace WHERE nspname ~ 'tenan|shop|addons'
		UNION ALL SELECT 'trigger', concat_ws(' ', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger WHERE NOT tgisinternal
		UNION ALL SELECT 'event trigger', concat_ws(' ', evtname, evtenabled) FROM pg_event_trigger
		UNION ALL SELECT 'default', concat_ws(' ', adrelid::regclass, pg_get_expr(adbin, adrelid)) FROM pg_attrdef
		UNION ALL SELECT 'constraint', concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint WHERE connamespace::regnamespace::text ~ 'tenan|shop|addons'
		UNION ALL SELECT 'table', concat_ws(' ', oid::regclass, relowner::regrole, (SELECT string_agg(x::text, ',' ORDER BY x::text) FROM unnest(COALESCE(relacl, acldefault('r', relowner))) x)) FROM pg_class WHERE relkind IN ('r', 'p', 'v') AND relnamespace::regnamespace::text ~ 'tenan|shop|addons'
		ORDER BY 1, 2});
}

# The same lines?  If not, say which ones differ.
sub same_lines
{
	my ($got, $expected, $what) = @_;
	my %surplus;

	$surplus{$_}++ for split /\n/, $got;
	$surplus{$_}-- for split /\n/, $expected;
	ok($got eq $expected, $what)
		or diag(map { ($surplus{$_} > 0 ? 'not expected' : 'missing') . ": $_\n" } grep { $surplus{$_} } sort keys %surplus);
	return;
}

# The SQLSTATE that a statement ends with, as a role; 00000 for success.
sub sqlstate
{
	my ($node, $database, $role, $sql) = @_;
	my $s = session($node, $database, $role);
	my $r = $s->query($sql);

	$s->quit;
	return $r->{state};
}

# A psql that stays connected.  One that cannot connect has no pid, and says
# why under "refused".
sub session
{
	my ($node, $database, $role, %how) = @_;
	my $self = bless { in => '', out => '', err => '', n => 0 }, 'Tenancy::Session';
	my $connstr = $node->connstr($database) . (defined $role ? " user=$role" : '');

	local $ENV{PGOPTIONS} = $how{options} if defined $how{options};
	$self->{timer} = timeout($patience);
	$self->{psql} = start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=0', '-v', 'VERBOSITY=verbose', '-d', $connstr ],
		'<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err}, $self->{timer});
	my $first = $self->query('SELECT pg_backend_pid()');
	$self->{pid} = $first->{rows};
	$self->{refused} = $first->{messages};
	return $self;
}

# What the registry and the cluster know of a tenant with a database.
sub state_of
{
	my ($node, $database, $slug) = @_;

	return $node->safe_psql($database, qq{
		SELECT concat_ws(' ',
			COALESCE((SELECT status FROM tenancy.tenant WHERE slug = '$slug'), 'no tenant,'),
			CASE WHEN EXISTS (SELECT FROM pg_database WHERE datname = 'tenant_$slug')
				THEN 'a database' ELSE 'no database' END)
	});
}

# What pg_dump says of a schema, with another name in its place, in lines: without what makes
# its tables a tenant's, and the privileges on these relations.
sub definition
{
	my ($node, $database, $schema, $name, @withheld) = @_;
	my ($out, $err) = run_command([ 'pg_dump', '--schema-only', '-n', $schema, '-d', $node->connstr($database) ]);
	my @lines = grep { !/^(--|SET (?!default_)|SELECT pg_catalog\.set_config|\\(un)?restrict|$)/ } split /\n/, $out;
	my $withheld = join '|', map { quotemeta } @withheld;

	is($err, '', "pg_dump of $schema in $database");
	s/\Q$schema\E\./$name./g, s/SCHEMA \Q$schema\E( |;|$)/SCHEMA $name$1/g for @lines;
	for my $path ($schema, $name)
	{
		my $bare = $path =~ s/^"(.*)"$/$1/r =~ s/""/"/gr;

		s/^(\s*SET search_path TO .*)'\Q$bare\E'/$1'the model'/ for @lines;
	}
	@lines = grep { !/^CREATE POLICY tenant_(isolation|access) ON|^ALTER TABLE (ONLY )?.+ (ENABLE|FORCE) ROW LEVEL SECURITY;$/ } @lines;
	@lines = grep { !/^(GRANT|REVOKE) .* ON TABLE \Q$name\E\.($withheld) / } @lines if @withheld;
	return [ sort @lines ];
}

# What differs, for people to read.
sub differences
{
	my ($have, $want) = @_;
	my (%count, @differences);

	$count{$_}++ for @$have;
	$count{$_}-- for @$want;
	@differences = map { ($count{$_} > 0 ? '+ ' : '- ') . $_ } grep { $count{$_} } sort keys %count;
	$#differences = 39 if @differences > 40;
	return join("\n", @differences);
}

# What may be left behind nowhere; an empty string if there is nothing.
sub leftovers
{
	my ($node, $database) = @_;

	return $node->safe_psql($database, q{
		SELECT 'pending ' || action FROM tenancy.pending_database
		UNION ALL
		SELECT 'database ' || datname FROM pg_database d
		WHERE datname LIKE 'tenant\_%' AND NOT EXISTS
			(SELECT FROM tenancy.tenant WHERE database_name = datname)
		UNION ALL
		SELECT 'worker ' || pid FROM pg_stat_activity WHERE backend_type = 'tenancy worker'
	});
}

# After a process of the server's was killed: wait until it takes connections again.  Given
# the size of its log from before, first until it has missed the process, which may take it
# a moment.  No psql asks: to one that is turned away, its query may be a broken pipe.
sub recovered
{
	my ($node, $offset) = @_;

	for (1 .. 50)
	{
		last if !defined $offset || slurp_file($node->logfile, $offset) =~ /ready to accept connections/;
		usleep(100_000);
	}
	for (1 .. 10 * $patience)
	{
		return if system('pg_isready', '-q', '-h', $node->host, '-p', $node->port) == 0;
		usleep(100_000);
	}
	die 'the server is not back';
}

# Wait for a condition, a query that returns t.
sub slow
{
	my ($node, $database, $query) = @_;

	return $node->poll_query_until($database, $query);
}

package Tenancy::Session;

use strict;
use warnings;

use IPC::Run qw(pump finish);

# Send a statement without waiting for its result.
sub send
{
	my ($self, $sql) = @_;
	my $mark = 'done-' . ++$self->{n};

	$self->{mark} = $mark;
	$self->{in} .= "$sql\n;\n\\echo $mark :SQLSTATE\n\\warn $mark\n";
	eval { $self->{psql}->pump_nb if $self->{psql}->pumpable };
	return;
}

# Wait for it: a hash with its rows, its SQLSTATE (empty if the connection was
# lost), and what psql wrote to its error output.
sub wait
{
	my ($self) = @_;
	my $mark = $self->{mark};
	my ($rows, $state, $messages) = ('', '', '');

	$self->{timer}->start($Tenancy::patience);
	eval {
		pump $self->{psql}
			until ($self->{out} =~ /^\Q$mark\E (\S*)\n/m && $self->{err} =~ /^\Q$mark\E\n/m)
			|| !$self->{psql}->pumpable;
		1;
	} or $messages = $@;
	if ($self->{out} =~ s/^(.*?)^\Q$mark\E (\S*)\n//ms)
	{
		($rows, $state) = ($1, $2);
		$state = '' if $state eq ':SQLSTATE';
	}
	$messages .= $1 if $self->{err} =~ s/^(.*?)^\Q$mark\E\n//ms;
	$messages .= $self->{err} unless $self->{psql}->pumpable;
	$state = '' if $messages =~ /connection to server was lost|server closed the connection/;
	chomp $rows;
	return { rows => $rows, state => $state, messages => $messages };
}

sub query
{
	my ($self, $sql) = @_;

	$self->send($sql);
	return $self->wait;
}

# The rows of a statement that must work.
sub rows
{
	my ($self, $sql) = @_;
	my $r = $self->query($sql);

	die "\"$sql\" failed: $r->{messages}" unless $r->{state} eq '00000';
	return $r->{rows};
}

# The SQLSTATE of a statement.
sub state
{
	my ($self, $sql) = @_;

	return $self->query($sql)->{state};
}

sub quit
{
	my ($self) = @_;

	$self->{in} .= "\\q\n";
	eval { finish $self->{psql} };
	return;
}

1;
