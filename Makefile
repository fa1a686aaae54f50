# The front door. `make` or `make help` lists every target and variable; a new target gets its row in
# pycaffe_ext/command_line/commands.py.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

APPS    := polyp pe frames imt folder
TUNINGS := ft-conv1 ft-conv2 ft-conv3 ft-conv4 ft-conv5 ft-fc6 ft-fc7 ft-fc8 gradual lp-ft scratch scratch-xavier scratch-msra
JOBS    := $(foreach app,$(APPS),$(addprefix $(app)-,$(TUNINGS)))
TABLES  := $(addsuffix -tables,$(APPS))
DEEPENS := $(addsuffix -deepen,$(APPS))
PROBES  := $(addsuffix -probe,$(APPS))
OWN     := $(addsuffix -study,$(APPS))
PLANS   := $(addsuffix -study-plan,$(APPS))
OTHERS  := $(filter-out $(JOBS) $(TABLES) $(DEEPENS) $(PROBES) $(OWN) $(PLANS),$(filter $(addsuffix -%,$(APPS)),$(MAKECMDGOALS)))  # schemes of other nets, or misspelt

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PY     := $(BIN)/python
READY  := $(VENV)/.ready
# An environment whose Python was removed or replaced by another version is rebuilt, and so is one with another TORCH.
BROKEN := $(if $(wildcard $(READY)),$(shell $(PY) -c 'import pip' 2>/dev/null || echo broken-venv))
SWITCH := $(if $(value TORCH),$(if $(wildcard $(READY)),$(if $(filter $(value TORCH),$(file <$(READY))),,broken-venv)))
ifneq ($(words $(VENV)),1)
$(error VENV=$(VENV) has blanks in it, which make can't handle; choose another folder)
endif

# Variables of the commands, handed on only when given. pycaffe_ext/command_line/ has the tables of commands and options,
# with every default and the text of `make help`; a test holds that this list and the targets below agree with them.
OPTIONS := ARCH DATA DATASET TEST_DATA TEST_DATASET MASK DAMAGED POSITIVE RESIZE BALANCE DEGRADE PATCH_MM NEAR_MM DENSE WEIGHTS PATCHES TEST_VIEWS WIDTH BATCH EPOCHS PATIENCE BASE_LR MEAN SCALE FRESH SEED SPLIT_SEED FOLDS FOLD TUNING FRACTION ENCODING CAFFE GPU THREADS PRECISION CACHE_GB RUNS RUN SCHEMES SEEDS OUT
flags    = $(call options,$(filter-out $(1),$(OPTIONS)))
unexport $(OPTIONS)

# What a user gives arrives as given: `value` leaves $ alone, a ' is quoted for the shell.
ARGUMENTS := $(OPTIONS) FROM PORT STUDY WORKERS ADDRESS NAME FILE SOURCE LICENCE APP ROWS REPETITIONS STUDIES MARGIN AUC_MARGIN CHECKS FOR WITHOUT TORCH
NAMES    := $(join $(addsuffix =,$(ARGUMENTS)),$(shell echo '$(ARGUMENTS)' | tr A-Z_ a-z-))
lower    = $(patsubst $(1)=%,%,$(filter $(1)=%,$(NAMES)))
quote    = '$(subst ','\'',$(1))'
quoted   = $(call quote,$(value $(1)))
options  = $(foreach v,$(1),$(if $(value $(v)),--$(call lower,$(v))=$(call quoted,$(v))))
handed   = HANDED_ON=yes $(foreach v,$(OPTIONS),$(if $(value $(v)),$(v)=$(call quoted,$(v))))
define NEWLINE


endef
$(foreach v,$(ARGUMENTS),$(if $(findstring $(NEWLINE),$(value $(v))),$(error $(v)= holds a line break; give one line)))

# What stands on make's command line must be taken by a target that is asked for, or steer this file; what comes from the
# environment need not. Targets below that call make hand everything on, for one or the other to take: HANDED_ON=yes.
override GIVEN    := $(if $(MAKEOVERRIDES),$(foreach v,$(.VARIABLES),$(if $(filter command,$(origin $(v))),$(v))))
override STEERING := PYTHON PY VENV BIN TORCH PYTEST V SHELL MAKE MAKEFLAGS
override GIVEN    := $(if $(filter HANDED_ON,$(GIVEN)),,$(filter-out $(STEERING),$(GIVEN)))
override CHECK     = tools/check_variables.py $(foreach word,$(MAKECMDGOALS) -- $(GIVEN),$(call quote,$(word)))
override REFUSED  := $(if $(GIVEN),$(shell $(PYTHON) $(CHECK) 2>/dev/null || if test -x $(PY); then $(PY) $(CHECK); fi))
$(if $(REFUSED),$(error error: $(REFUSED)))

.PHONY: help setup $(JOBS) $(OTHERS) $(APPS) $(TABLES) $(DEEPENS) $(PROBES) $(OWN) $(PLANS) prototxt tables weights caffe donor test quick-test thorough-test lint clean
help:
	@$(PYTHON) tools/make_help.py

setup: $(READY)
SOURCES := setup.py pyproject.toml pycaffe_ext/proto/caffe.proto
$(READY): $(SOURCES) $(BROKEN) $(SWITCH)
	@$(PYTHON) tools/setup_venv.py $(call options,TORCH) $(call quoted,VENV) $(SOURCES)
.PHONY: broken-venv
broken-venv:

$(JOBS) $(OTHERS): $(READY)
	@$(PY) tools/train_and_test.py $(call quote,$@) $(call flags,SCHEMES SEEDS OUT)

$(APPS): $(READY)
	@$(PY) tools/run_study.py $@ $(call flags,SEED RUN OUT)

$(OWN): $(READY)
	@$(PY) tools/run_own_study.py $(@:%-study=%) $(call flags,SEED RUN OUT) $(call options,NAME MARGIN WORKERS ADDRESS)

$(PLANS): $(READY)
	@$(PY) tools/plan_own_study.py $(@:%-study-plan=%) $(call flags,SEED RUN OUT) $(call options,NAME MARGIN WORKERS)

$(TABLES): $(READY)
	@$(PY) tools/write_report.py $(@:%-tables=%) $(call flags,SEED RUN) $(call options,MARGIN AUC_MARGIN)

$(DEEPENS): $(READY)
	@$(PY) tools/deepen.py $(@:%-deepen=%) $(call flags,TEST_DATA TEST_DATASET RUN SCHEMES SEEDS OUT) $(call options,FROM)

$(PROBES): $(READY)
	@$(PY) tools/probe_donor.py $(@:%-probe=%) $(call flags,TEST_DATA TEST_DATASET BATCH EPOCHS PATIENCE BASE_LR PRECISION CACHE_GB RUN SCHEMES SEEDS OUT)

.PHONY: board
board: $(READY)
	@$(PY) tools/show_board.py $(call options,PORT RUNS)

# A grid of runs, declared in a file.
GRID := STUDY WORKERS CAFFE GPU THREADS CACHE_GB RUNS
.PHONY: study study-plan study-status study-table study-report
study: $(READY)
	@$(PY) tools/run_grid.py $(call options,$(GRID) ADDRESS)

study-plan: $(READY)
	@$(PY) tools/plan_grid.py $(call options,$(GRID))

study-status: $(READY)
	@$(PY) tools/grid_status.py $(call options,STUDY RUNS)

study-table: $(READY)
	@$(PY) tools/grid_table.py $(call options,STUDY RUNS OUT)

study-report: $(READY)
	@$(PY) tools/grid_report.py $(call options,STUDY RUNS OUT)

.DEFAULT:
	@echo 'error: no target' $(call quote,$@)'; a job is APP-SCHEME with APP one of: $(APPS); SCHEME one of: $(TUNINGS);' \
	      'make help lists everything' >&2; exit 2

# The README's studies: all training groups where FRACTION= says no other; MARGIN= is the report's.
once = MARGIN= $(if $(value FRACTION),,FRACTION=1)

# The README's study: SqueezeNet and GoogLeNet at ten depths, and from scratch, five trainings of each on one split.
# Their rates are a tenth of Table II's: at that one ft-conv10 diverges. From scratch, they have Table II's own.
KVASIR := NAME=kvasir ARCH=squeezenet BASE_LR=0.0001 PATCHES=500 TEST_VIEWS=1 EPOCHS=12 PATIENCE=3 SPLIT_SEED=0 SEEDS=0,1,2,3,4 \
	SCHEMES='ft-conv10 ft-fire9 ft-fire7 ft-fire4 ft-fire2 ft-conv1 scratch:base_lr=0.001 alexnet:scratch:base_lr=0.001 \
	googlenet:ft-classifier googlenet:ft-inception_5a googlenet:ft-inception_4a googlenet:ft-conv1'
.PHONY: kvasir
kvasir: $(READY)
	@test -n $(call quoted,DATA) -a -n $(call quoted,WEIGHTS) || { echo 'error: make kvasir needs DATA= and' \
	      'WEIGHTS=squeezenet=file:googlenet=file' >&2; exit 2; }
	@$(MAKE) --no-print-directory polyp-study $(once) $(handed) $(KVASIR)
	@$(MAKE) --no-print-directory polyp-tables $(handed) $(KVASIR) OUT=reports/kvasir

# The README's radiographs: SqueezeNet at four depths, three seeds. Few patches and epochs, so that it takes minutes.
CHEST := NAME=chest-xray ARCH=squeezenet BASE_LR=0.0001 PATCHES=1200 TEST_VIEWS=1 EPOCHS=3 SEEDS=0,1,2 \
	SCHEMES='ft-conv10 ft-fire9 ft-fire7 ft-fire4'
.PHONY: chest-xray
chest-xray: $(READY)
	@test -n $(call quoted,DATA) -a -n $(call quoted,WEIGHTS) || { echo 'error: make chest-xray needs DATA= and WEIGHTS=' >&2; exit 2; }
	@$(MAKE) --no-print-directory folder-study $(once) $(handed) $(CHEST)
	@$(MAKE) --no-print-directory folder-tables $(handed) $(CHEST) OUT=reports/chest-xray

prototxt: $(READY)
	@$(PY) tools/emit_prototxt.py $(call options,ARCH APP OUT)

tables: $(READY)
	@$(PY) tools/print_tables.py

weights: $(READY)
	@$(PY) tools/get_weights.py $(if $(value NAME),$(call quoted,NAME))

.PHONY: import-weights
import-weights: $(READY)
	@$(PY) tools/import_weights.py $(call options,OUT) $(if $(value FILE),$(call quoted,FILE))

.PHONY: card
card: $(READY)
	@$(PY) tools/make_card.py $(call options,WEIGHTS MEAN SCALE ARCH SOURCE LICENCE)

.PHONY: data-help
data-help: $(READY)
	@$(PY) tools/data_help.py $(call flags,$(filter-out DATA DATASET MASK DAMAGED RUNS,$(OPTIONS)))

# A finished run, used.
.PHONY: predict export
predict: $(READY)
	@$(PY) tools/predict.py $(call options,RUN DATA OUT CAFFE GPU THREADS)

export: $(READY)
	@$(PY) tools/export.py $(foreach v,RUN OUT,$(if $(value $(v)),$(call quoted,$(v))))

caffe: $(READY)
	@$(PY) tools/install_caffe.py

.PHONY: where-caffe
where-caffe: $(READY)
	@$(PY) tools/install_caffe.py --where

donor: $(READY)
	@$(PY) tools/make_donor.py

# Two processes with a thread each: most tests are too small to share. A file's tests, and so its fixtures, stay together.
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PY) -m pytest tests -n 2 --dist loadfile --no-loadscope-reorder
test: $(READY)
	@$(PYTEST) -m 'not thorough'

thorough-test: $(READY)
	@$(PYTEST) -m thorough

quick-test: $(READY)
	@$(PYTEST) -m 'not slow and not thorough'

.PHONY: detector-curve
detector-curve: $(READY)
	@$(PY) tools/detector_curve.py $(call options,DATA DATASET MASK DAMAGED SEED RUNS OUT)

.PHONY: bench
bench: $(READY)
	@$(PY) tools/bench.py $(foreach row,$(value ROWS),$(call quote,$(row)))

# gpu-bundle/check.sh brings along what a machine without internet lacks, and uses that machine's own torch.
.PHONY: gpu-check gpu-bundle
BUNDLE := $(wildcard gpu-bundle/check.sh)
gpu-check: $(if $(BUNDLE),,$(READY))
	@$(if $(BUNDLE),bash $(BUNDLE),$(PY) tools/gpu_check.py) $(foreach check,$(value CHECKS),$(call quote,$(check))) $(call options,OUT)

gpu-bundle: $(READY)
	@$(PY) tools/gpu_bundle.py $(if $(value FOR),--python=$(call quoted,FOR)) $(call options,OUT) $(if $(value WITHOUT),--without $(foreach name,$(value WITHOUT),$(call quote,$(name))))

.PHONY: conformance
conformance: $(READY)
	@$(PY) tools/conformance.py

.PHONY: coverage
coverage: $(READY)
	@$(PY) tools/coverage.py $(call options,REPETITIONS STUDIES)

.PHONY: docs
docs: $(READY)
	@$(BIN)/mkdocs build --strict --quiet

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(PY) tools/check_types.py

clean:
	rm -rf runs
