# dawk: one Makefile. `make` builds into build/, programs into build/bin/. See INSTALL.
B ?= build
CC = gcc
SANITIZE ?=
DEPS = deps
STANDARD = -std=c11 -D_GNU_SOURCE
WARN = -Wall -Wextra -Werror -Wshadow -Wconversion -Wmissing-prototypes -Wvla -Wno-sign-conversion
HARDEN = -fstack-protector-strong -fPIE -fstack-clash-protection -fcf-protection
ifeq ($(SANITIZE),)
OPTIMIZE = -O2 -g -D_FORTIFY_SOURCE=2
else
OPTIMIZE = -O1 -g -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
endif
CPPFLAGS += -I. -isystem $(DEPS)/include -DDAWK_VERSION='"$(VERSION)"'
CFLAGS += $(STANDARD) $(OPTIMIZE) $(WARN) $(HARDEN)
LDFLAGS += -pie -Wl,-z,relro,-z,now,--as-needed $(if $(SANITIZE),-fsanitize=$(SANITIZE))
VERSION = 0.1
LIBS = -lcdb $(DEPS)/owfat/usr/lib/libowfat.a -lidn2 -pthread
AUTHD_LIBS = -lcrypt -lnettle
TLS_LIBS = -lgnutls

PROGRAMS = smtpd queued locald pop3d authd keyd remoted dnsd stsd tlsrpt dawk sendmail
common_SRC = $(wildcard common/*.c)
smtpd_SRC = $(wildcard smtpd/*.c)
queued_SRC = $(wildcard queued/*.c)
locald_SRC = $(wildcard locald/*.c)
pop3d_SRC = $(wildcard pop3d/*.c)
authd_SRC = $(wildcard authd/*.c)
keyd_SRC = $(wildcard keyd/*.c)
remoted_SRC = $(wildcard remoted/*.c)
dnsd_SRC = $(wildcard dnsd/*.c)
stsd_SRC = $(wildcard stsd/*.c)
sendmail_SRC = $(wildcard dawk/sendmail*.c)
# dawk explains where mail goes as remoted finds it out, makes the keys that authd checks, and changes the queue as queued does.
dawk_SRC = $(filter-out $(sendmail_SRC),$(wildcard dawk/*.c)) remoted/hosts.c remoted/route.c remoted/rules.c remoted/tlsa.c \
	authd/scram.c authd/digest.c stsd/folder.c stsd/store.c stsd/policy.c tlsrpt/sender.c queued/record.c
# It asks the DNS as dawk does, and submits as sendmail does.
tlsrpt_SRC = $(wildcard tlsrpt/*.c) stsd/record.c stsd/facts_file.c stsd/store.c stsd/folder.c dawk/names.c dawk/helper.c dawk/say.c \
	dawk/sendmail_smtp.c $(filter remoted/%,$(dawk_SRC))
objects = $(patsubst %.c,$(B)/%.o,$(1))

all: $(PROGRAMS:%=$(B)/bin/%)

# libowfat's and tinycdb's -dev packages of Debian conflict; libowfat's is unpacked here.
$(DEPS)/.ready:
	mkdir -p $(DEPS)/include
	cd $(DEPS) && $(CURDIR)/tests/tool/fetch-package libowfat-dev && dpkg-deb -x libowfat-dev_*.deb owfat && rm libowfat-dev_*.deb
	ln -sfn ../owfat/usr/include $(DEPS)/include/libowfat
	touch $@

$(B)/%.o: %.c | $(DEPS)/.ready
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/libcommon.a: $(call objects,$(common_SRC))
	rm -f $@ && ar rcs $@ $^

define program
$(B)/bin/$(1): $$(call objects,$$($(1)_SRC)) $(B)/libcommon.a
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS) -o $$@ $$^ $$($(1)_LIBS) $$(LIBS)
endef
authd_LIBS = $(AUTHD_LIBS)
dawk_LIBS = $(AUTHD_LIBS) $(TLS_LIBS)
keyd_LIBS = $(TLS_LIBS)
smtpd_LIBS = $(TLS_LIBS)
pop3d_LIBS = $(TLS_LIBS)
dnsd_LIBS = -lunbound
remoted_LIBS = $(TLS_LIBS) -lnettle
stsd_LIBS = $(TLS_LIBS)
tlsrpt_LIBS = $(TLS_LIBS) -lnettle -lz
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

# Unit drivers: each tests/unit/NAME.c is a program, linked with the objects of its first line.
UNITS = $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/*.c))
linked = $(addprefix $(B)/,$(shell sed -n '1s,^/\* link: *\(.*\) \*/.*,\1,p' $(1)))
define unit
$(B)/unit/$(1): tests/unit/$(1).c $(call linked,tests/unit/$(1).c) $(B)/libcommon.a
	@mkdir -p $$(@D)
	$$(CC) $$(CPPFLAGS) $$(CFLAGS) $$(LDFLAGS) -MMD -MP -o $$@ $$(filter %.c %.o %.a,$$^) $$(AUTHD_LIBS) $$(TLS_LIBS) $$(LIBS)
endef
$(foreach u,$(UNITS),$(eval $(call unit,$(u))))

# Programs of tests/tool that play a part beside one daemon.
$(B)/tool/%: tests/tool/%.c $(B)/libcommon.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP -o $@ $(filter %.c %.o %.a,$^) $(TLS_LIBS) $(LIBS)

CRASH_TOOLS = $(B)/crash/remember $(B)/crash/rebuild $(B)/crash/points
units: $(UNITS:%=$(B)/unit/%) $(B)/tool/locald_driver $(B)/tool/remote_driver $(B)/tool/dns_ask $(B)/tool/sts_ask $(B)/tool/failing_calls.so $(B)/tool/odd_names.so $(B)/tool/odd_clock.so $(B)/tool/odd_disk.so $(B)/tool/says_twice.so $(B)/tool/says_more.so $(B)/tool/tls_server $(B)/tool/key_ask $(B)/tool/captive $(CRASH_TOOLS)
unit: units
	@tests/tool/units $(UNITS:%=$(B)/unit/%)

valgrind: units
	@tests/tool/valgrind $(UNITS:%=$(B)/unit/%)

# For LD_PRELOAD: without sanitizers, it stands before theirs.
$(B)/tool/%.so: tests/tool/%.c
	@mkdir -p $(@D)
	$(CC) $(STANDARD) -O1 -g $(WARN) -shared -fPIC -o $@ $< -ldl

# Fuzz targets: each tests/fuzz/NAME.c is a program, linked with the objects of its first line. `make fuzz TIME=seconds`
# builds them by clang and runs each for so long, FUZZ="NAME .." these alone; `make fuzz-afl` does the same by AFL++.
TIME ?= 60
FUZZ ?= $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c))
define fuzzer
$(B)/fuzz/$(1): tests/fuzz/$(1).c tests/fuzz/fuzz.h $(call linked,tests/fuzz/$(1).c) $(B)/libcommon.a
	@mkdir -p $$(@D)
	$$(CC) $$(CPPFLAGS) $$(CFLAGS) $$(LDFLAGS) -fsanitize=fuzzer -o $$@ $$(filter %.c %.o %.a,$$^) $$(TLS_LIBS) -lnettle $$(LIBS)
endef
$(foreach f,$(FUZZ),$(eval $(call fuzzer,$(f))))
fuzzers: $(FUZZ:%=$(B)/fuzz/%)
fuzz:
	@$(MAKE) -s --no-print-directory B=$(B)/clang CC=clang WARN=-Wall SANITIZE=fuzzer-no-link,address,undefined fuzzers
	@tests/tool/fuzz libfuzzer $(B)/clang/fuzz $(TIME) $(FUZZ)
fuzz-afl:
	@$(MAKE) -s --no-print-directory B=$(B)/afl CC=afl-clang-fast WARN=-Wall SANITIZE=address,undefined fuzzers
	@tests/tool/fuzz afl $(B)/afl/fuzz $(TIME) $(FUZZ)

# The load generator is a tool, not a daemon: without the warnings about conversions.
BENCH_FLAGS = $(STANDARD) -O2 -g -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes -Wvla -pthread
$(B)/bench/mailload: $(wildcard bench/load*.c) bench/mailload.c bench/load.h
	@mkdir -p $(@D)
	$(CC) $(BENCH_FLAGS) -o $@ $(filter %.c,$^)
$(B)/bench/fslimit: bench/fslimit.c
	@mkdir -p $(@D)
	$(CC) $(BENCH_FLAGS) -o $@ $<
$(B)/bench/mkqueue: bench/mkqueue.c $(B)/queued/schedule.o $(B)/libcommon.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(BENCH_FLAGS) -o $@ $(filter %.c %.o %.a,$^) $(LIBS)
bench: all $(B)/bench/mailload $(B)/bench/fslimit $(B)/bench/mkqueue
	@B=$(B) bench/bench.sh

# The crash kit, see dawk-crash(7): a disk that remembers, and what stops processes at their system calls. As root.
$(B)/crash/%: tests/crash/%.c tests/crash/disk_log.h
	@mkdir -p $(@D)
	$(CC) $(STANDARD) -O2 -g $(WARN) -o $@ $< $(if $(filter remember,$*),$(shell pkg-config --cflags --libs fuse3))
crash: all $(CRASH_TOOLS)
	@DAWK_BIN=$(B)/bin CRASH="$(CRASH)" CUTS="$(CUTS)" KINDS="$(KINDS)" FOLDER="$(FOLDER)" SEED="$(SEED)" tests/crash/kit all

# Under SANITIZE=thread at fixed addresses: where others would be, gcc 12's sanitizer may have no room for its own.
check:
	@$(if $(filter thread,$(SANITIZE)),setarch -R) tests/tool/check
lint:
	@tests/tool/lint
analyze:
	@DEEP=1 LINT_ONLY="clang_tidy gcc_analyzer" tests/tool/lint
demo: all
	@DAWK_BIN=$(B)/bin tests/tool/demo.sh

# The host's own installation, as root. INSTALL says what each does.
export B PREFIX DESTDIR MAIL_HOST MAIL_DOMAINS
export PYTHONDONTWRITEBYTECODE = 1
setup:
	@service/setup.sh setup
install: all
	@service/setup.sh install
uninstall:
	@service/setup.sh uninstall

# For clang-tidy: how a source file is compiled, a flag a line.
print-flags:
	@printf '%s\n' $(CPPFLAGS) $(filter-out -fcf-protection -fstack-clash-protection,$(CFLAGS))

clean:
	rm -rf $(B)
dist-clean: clean
	rm -rf $(DEPS) build

.PHONY: all clean unit units valgrind crash check lint analyze fuzz fuzz-afl fuzzers bench demo setup install uninstall dist-clean print-flags
-include $(shell find $(B) -type f -name '*.d' 2>/dev/null)
