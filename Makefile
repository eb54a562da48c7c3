# The commands a person types. Each sets up what it needs; the work is in tests/setup/ and tests/bench/.
.PHONY: help demo test test-compat test-vendors test-focus test-faults fuzz soak bench bench-batch bench-budget bench-fusion bench-ledger bench-overhead bench-reconcile bench-routing bench-wires setup models lint deny dist-c dist-node dist-python clean

help:
	@echo 'make demo    ask a real question to three small models on this machine and fuse their answers (Q="..." to ask your own)'
	@echo 'make test    every test: Rust, C, C++, Python, Node, and the types (PARTS="c python" for some of them)'
	@echo 'make test-vendors   the official SDKs of eight vendors and interfuse ask one server and must hear the same'
	@echo 'make test-compat   openai, instructor, LangChain, LlamaIndex and huggingface_hub, unmodified, on interfuse'
	@echo 'make test-focus   the validator of FOCUS, readers of Arrow and a browser judge what leaves a ledger'
	@echo 'make test-faults   what backends can do wrong, in four languages, as a table (FAULTS=DIR for definitions of another folder)'
	@echo 'make fuzz    a fuzzer makes up streams, answers, configurations and judges (FUZZ_SECONDS=10 each, TARGETS="sse config" for some)'
	@echo 'make soak    200000 calls, 10000 cancelled ones, 1000 slow streams: memory, sockets and tasks, with bounds (CALLS= CANCELS= STREAMS=)'
	@echo 'make bench   interfuse beside raw clients of each language'
	@echo 'make bench-batch    rows a second of a batch, with and without budget and checkpoint, and its memory, beside the goals (ROWS=100000)'
	@echo 'make bench-budget   what holding and settling money costs a call, beside its goal'
	@echo 'make bench-fusion   what a fusion costs beside its calls, and what it gains in simulated pools, beside the goals (ITEMS=8000 a cell)'
	@echo 'make bench-overhead   what a call and an event of a stream take more than by reqwest alone, and how soon a cancelled call is gone'
	@echo 'make bench-reconcile   a million records compared with a hundred thousand rows of a vendor, beside its goals'
	@echo 'make bench-routing   what a routing decision over 200 backends costs, beside its goals'
	@echo 'make bench-wires   what each wire costs to write and read, beside its goals'
	@echo 'make bench-ledger    what booking and asking a ledger costs, in a file and in memory, beside its goals'
	@echo 'make lint    formatting, and clippy with warnings denied'
	@echo 'make deny    licences, bans and duplicate versions of the dependencies (builds cargo-deny the first time)'
	@echo 'make dist-c  the archive for C and C++ in target/dist: headers, both libraries, CMake and pkg-config files (PROFILE=dev is quick)'
	@echo 'make dist-node  the packages for npm in target/dist: interfuse, and the one with the addon for this machine (PROFILE=dev is quick)'
	@echo 'make dist-python   the wheel and the sources for pip in target/dist (PROFILE=dev is quick)'
	@echo 'make models  bring the prices of core/data/models.json up to date from the packages that carry lists (ARGS="--litellm 1.109.1"; --write writes)'
	@echo 'make setup   what `cargo test`, pytest and node --test need to be there: tools, the Python package, the Node addon'
	@echo 'make clean   remove everything the above made inside this checkout'

demo:
	@bash tests/setup/demo.sh

test:
	@bash tests/setup/test.sh

test-vendors:
	@bash tests/setup/vendors.sh

test-compat:
	@bash tests/setup/compat.sh

test-focus:
	@bash tests/setup/focus.sh

test-faults:
	@bash tests/setup/faults.sh $(ARGS)

fuzz:
	@bash tests/setup/fuzz.sh

soak:
	@cargo run -q --profile bench --locked -p interfuse-tests --bin soak -- --calls $${CALLS:-200000} --cancels $${CANCELS:-10000} --streams $${STREAMS:-1000}

bench:
	@bash tests/setup/bench.sh

bench-batch:
	@cargo run -q --profile bench --locked -p interfuse-tests --bin batch -- $${ROWS:-100000}

bench-budget:
	@cargo bench -q --locked -p interfuse --bench budget

bench-overhead:
	@cargo run -q --profile bench --locked -p interfuse-tests --bin overhead

bench-fusion:
	@cargo bench -q --locked -p interfuse --bench fusion

bench-reconcile:
	@cargo bench -q --locked -p interfuse --bench reconcile

bench-routing:
	@cargo bench -q --locked -p interfuse --bench routing

bench-wires:
	@cargo bench -q --locked -p interfuse --bench wires

bench-ledger:
	@cargo bench -q --locked -p interfuse --features sqlite --bench ledger

setup:
	@bash tests/setup/machine.sh test
	@bash tests/setup/python.sh
	@bash tests/setup/bind-python.sh
	@bash tests/setup/bind-node.sh

models:
	@python3 tests/setup/models.py $(ARGS)

lint:
	@bash tests/setup/lint.sh

deny:
	@bash tests/setup/deny.sh build

dist-c:
	@bash tests/setup/dist-c.sh

dist-node:
	@bash tests/setup/dist-node.sh

dist-python:
	@bash tests/setup/dist-python.sh

clean:
	rm -rf target .venv .venv-compat .venv-vendors .venv-focus .venv-wheel .tools bindings-node/node_modules tests/bench/out tests/bench/target tests/fuzz/target tests/fuzz/artifacts
	rm -f bindings-python/python/interfuse/_native*.so bindings-node/*.node bindings-node/js/*.node
