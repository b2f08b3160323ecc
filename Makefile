# Everything that people and CI run. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := 2.13.0
KB ?= kb
OUT ?= site

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev setup-bench run test lint format check index model evaluate ablation quality benchmark translations export screenshots

help: ## List the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(VENV)/.ready ## Make .venv with what the service needs

# PyTorch first and on its own: the CPU build where an index has it, the plain one elsewhere.
$(VENV)/.ready: requirements.txt requirements-torch.txt webapp/translations/en/LC_MESSAGES/messages.po
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'torch==$(TORCH)+cpu' 2>/dev/null \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-torch.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/pybabel --quiet compile -d webapp/translations
	@touch $@

setup-dev: $(VENV)/.ready-dev ## Add what tests and linters need

$(VENV)/.ready-dev: $(VENV)/.ready requirements-dev.txt requirements-postgresql.txt requirements-redis.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

setup-bench: $(VENV)/.ready-bench ## Add what the benchmark compares with

$(VENV)/.ready-bench: $(VENV)/.ready requirements-bench.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	@touch $@

run: setup ## Serve on http://127.0.0.1:8000 (content and index are made on first start)
	$(BIN)/python -m webapp

# Each worker loads the model for itself (some 600 MB): at most four. One thread of computation each, or they wait for one another.
test: setup-dev ## Run all the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

lint: setup-dev ## Check style, types and translations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup-dev ## Rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: setup ## Check the articles (KB=folder for another content folder)
	$(BIN)/python -m scripts.check_articles --kb $(KB)

index: setup ## Build or refresh the index, with a progress bar
	$(BIN)/python -m scripts.build_index

model: setup ## Train the embedding model, the topicality and the confidence anew (needs ../shared/corpus)
	$(BIN)/python -m scripts.train_model
	$(BIN)/python -m scripts.train_topicality
	$(BIN)/python -m scripts.calibrate

evaluate: setup-bench ## Measure the match on our own test messages, beside keywords, MiniLM and txtai
	$(BIN)/python -m scripts.evaluate_messages

ablation: setup ## Show what each part of the search brings (development messages)
	$(BIN)/python -m scripts.ablation

quality: setup-bench ## Make the figures of docs/quality.md
	$(BIN)/python -m scripts.evaluate_messages --out var/evaluate.json
	$(BIN)/python -m scripts.quality_plots --results var/evaluate.json

benchmark: setup-bench setup-dev ## Measure accuracy, speed, memory and start-up beside txtai, and the public side
	$(BIN)/python -m scripts.benchmark

translations: setup ## Gather the words to translate, and compile the English ones
	$(BIN)/pybabel --quiet extract -F babel.cfg -k ngettext:1,2 --sort-by-file --no-location -o webapp/translations/messages.pot webapp
	$(BIN)/pybabel --quiet update -i webapp/translations/messages.pot -d webapp/translations --no-fuzzy-matching
	$(BIN)/pybabel --quiet compile -d webapp/translations

export: setup ## Write the public FAQ as static files (OUT=folder URL=address where it will be served)
	$(BIN)/flask --app webapp export $(OUT) $(if $(URL),--url $(URL))

screenshots: setup-dev ## Take the screenshots of the README and the guides
	$(BIN)/python -m scripts.screenshots
