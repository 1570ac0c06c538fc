# tenancy: PGXS makefile
#
#   make, make install, make installcheck   as for any extension (PG_CONFIG=...)
#   make test [SUITES="regress tap"] [TESTS=context]
#   make test-matrix                        on the other versions of PostgreSQL
#   make test-asan                          with AddressSanitizer and UBSan in the extension
#   make test-valgrind                      with the server under valgrind
#   make check-static                       compilers' warnings, cppcheck, clang-tidy
#   make soak                               many tenants at work, with crashes, for SOAK_SECONDS
#   make fuzz-models [SEEDS=20] [SEED=n]   random models and the copies of them
#   make demo, make demo-stop, make bench

EXTENSION = tenancy
MODULE_big = tenancy
PGFILEDESC = "tenancy - multi-tenancy as a property of the database"

OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))

# The install script: its parts in the order in which they need each other.
DATA_built = tenancy--1.0.sql
SQL_PARTS = prologue catalog registry module session context database token policy migration record progress migrate spare provision drop plugin export import copy move reference repair access lint drift refill

# For the signatures of tokens
SHLIB_LINK += -lcrypto

# Warnings go to the C compiler only (PG_CPPFLAGS would reach clang's bitcode
# run as well).  The two switched off are what PostgreSQL's headers and
# function-manager interface run into by design.
PG_CFLAGS = -Wextra -Wno-unused-parameter -Wno-sign-compare
ifdef WERROR
PG_CFLAGS += -Wshadow -Werror
endif

# One pair of files for each module, one for each race.
REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
ISOLATION = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test

# The expected files must not depend on how fast the server is: no lines that tell how
# far a call is.
installcheck: export PGOPTIONS += -c tenancy.progress_interval=0

# The expected files must not depend on the server's locale.
ENCODING = UTF8
NO_LOCALE = yes

EXTRA_CLEAN = src/*.o src/*.bc tenancy--*.sql.tmp

# These work before there is any PostgreSQL to build against: they install it.
STANDALONE = test test-asan test-valgrind test-matrix check-static soak fuzz-models demo demo-stop bench

ifneq ($(filter-out $(STANDALONE),$(or $(MAKECMDGOALS),all)),)
PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(wildcard $(PGXS)),)
$(error $(PG_CONFIG) knows of no PGXS: install the server's development files (postgresql-server-dev-NN), or set PG_CONFIG)
endif
include $(PGXS)
endif

# Nobody tracks which file includes which header, so each one depends on all.
$(OBJS) $(OBJS:.o=.bc): $(sort $(wildcard src/*.h)) Makefile

tenancy--1.0.sql: $(SQL_PARTS:%=src/%.sql) Makefile
	cat $(filter %.sql,$^) > $@.tmp
	mv $@.tmp $@

# SUITES, TESTS and PG_CONFIG reach the scripts through the environment.
.PHONY: $(STANDALONE)

test:
	@test/tools/run-tests

test-asan:
	@SANITIZE=1 test/tools/run-tests

test-valgrind:
	@VALGRIND=1 test/tools/run-tests

test-matrix:
	@test/tools/matrix

check-static:
	@test/tools/check-static

soak:
	@test/soak/run

fuzz-models:
	@FUZZ_SEEDS=$(SEEDS) FUZZ_FROM=$(FROM) FUZZ_SEED=$(SEED) SUITES=tap TESTS=models test/tools/run-tests

demo:
	@test/tools/demo

demo-stop:
	@test/tools/cluster drop demo

bench:
	@test/bench/run
