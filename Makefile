# The front door. `make` or `make help` lists every target and variable.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

APPS    := polyp pe frames imt folder
TUNINGS := ft-conv1 ft-conv2 ft-conv3 ft-conv4 ft-conv5 ft-fc6 ft-fc7 ft-fc8 scratch scratch-xavier scratch-msra
ARCHS   := alexnet caffenet vgg16 googlenet squeezenet resnet50 lenet
JOBS    := $(foreach app,$(APPS),$(addprefix $(app)-,$(TUNINGS)))
TABLES  := $(addsuffix -tables,$(APPS))
OTHERS  := $(filter-out $(JOBS) $(TABLES),$(filter $(addsuffix -%,$(APPS)),$(MAKECMDGOALS)))  # schemes of other nets, or misspelt

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PY     := $(BIN)/python
READY  := $(VENV)/.ready
# An environment whose Python was removed or replaced by another version is rebuilt.
BROKEN := $(if $(wildcard $(READY)),$(shell $(PY) -c 'import pip' 2>/dev/null || echo broken-venv))
ifneq ($(words $(VENV)),1)
$(error VENV=$(VENV) has blanks in it, which make can't handle; choose another folder)
endif

# Settings of a run, handed on only when given: tools/train_and_test.py knows the defaults and prints them in its --help.
OPTIONS := ARCH DATA DATASET MASK DAMAGED RESIZE BALANCE DEGRADE WEIGHTS PATCHES TEST_VIEWS WIDTH BATCH EPOCHS PATIENCE BASE_LR SEED ENCODING CAFFE GPU THREADS PRECISION CACHE_GB RUNS RUN SCHEMES SEEDS OUT
lower    = $(subst _,-,$(shell echo '$(1)' | tr A-Z a-z))
flags    = $(call options,$(filter-out $(1),$(OPTIONS)))
unexport $(OPTIONS)

# What a user gives arrives as given: `value` leaves $ alone, a ' is quoted for the shell.
ARGUMENTS := $(OPTIONS) NAME APP ROWS REPETITIONS CHECKS FOR WITHOUT
quote    = '$(subst ','\'',$(1))'
quoted   = $(call quote,$(value $(1)))
options  = $(foreach v,$(1),$(if $(value $(v)),--$(call lower,$(v))=$(call quoted,$(v))))
handed   = $(foreach v,$(OPTIONS),$(if $(value $(v)),$(v)=$(call quoted,$(v))))
define NEWLINE


endef
$(foreach v,$(ARGUMENTS),$(if $(findstring $(NEWLINE),$(value $(v))),$(error $(v)= holds a line break; give one line)))

.PHONY: help setup $(JOBS) $(OTHERS) $(APPS) $(TABLES) prototxt tables weights caffe donor test quick-test lint clean
help:  ## this list
	@echo 'make APP-SCHEME   train, stop early, test and draw, e.g. `make polyp-ft-conv3`'
	@echo '                  APP:    $(APPS)'
	@echo '                  SCHEME: $(TUNINGS)'
	@echo '                  other nets have ft-STAGE of their own; a wrong SCHEME lists those of its ARCH'
	@echo 'make APP          every scheme that the paper compares, with each of SEEDS; repeat it to go on'
	@echo 'make APP-tables   figures and tables of these runs into reports/APP; same variables as make APP'
	@grep -hE '^[a-z][a-z-]*:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /|/' | awk -F'|' '{printf "make %-12s %s\n", $$1, $$2}'
	@echo
	@echo 'Variables of a run (defaults in brackets):'
	@echo '  ARCH=net          $(ARCHS) [alexnet]; all but alexnet need WEIGHTS= to be fine-tuned'
	@echo '  DATA=folder       a data set as in make data-help [synthetic colonoscopy sequences]'
	@echo '  DATASET=name      which one it is [recognised by its layout]'
	@echo '  MASK=rule         greys that are polyp: auto, threshold (above half), nonzero, inverted, value:N'
	@echo '                    [auto: two greys, or an error that says which were found]'
	@echo '  DAMAGED=keep      use damaged JPEG frames, counted and named [refuse: an error names the file]'
	@echo '  RESIZE=rule       whole pictures of `make folder` made square: squash, keep (on black) or crop (the middle) [squash]'
	@echo '  BALANCE=0         training patches of `make folder` as the data are [as many of each class, as in the paper]'
	@echo '  DEGRADE=1         `make frames` on a set of polyp frames, of which half are degraded [labelled frames]'
	@echo '  WEIGHTS=...       a .caffemodel, .caffemodel.h5 or the name of a published one, as in make weights [the embedded donor]'
	@echo '  PATCHES=n         training + validation patches at most [6000; the paper: 100000]'
	@echo '  TEST_VIEWS=n      patches scored per test candidate, 1 to 120 [8; the paper: all, 120]'
	@echo '  WIDTH=f           share of AlexNet'"'"'s channels, e.g. 1 or 1/8 [that of the donor]'
	@echo '  BATCH=n           training batch [the net'"'"'s own, AlexNet: 256, halved until an epoch has 50 iterations]'
	@echo '  EPOCHS=n          at most [15]      PATIENCE=n  snapshots without a better AUC [5]'
	@echo '  BASE_LR=r         rate of a layer with lr_mult 1 [0.001, Table II; other nets may need less]'
	@echo '  SCHEMES="a b"     of make APP: [ARCH:]SCHEME[:epochs=n,...] each [Table II, or the like of ARCH]'
	@echo '  SEEDS=0,1,2       of make APP: every scheme once with each [0]'
	@echo '  SEED=n            of everything random [0]      ENCODING=raw|png|jpg  of the LMDB [raw]'
	@echo '  CAFFE=command     the caffe to drive [the embedded engine; after `make caffe`: CAFFE=$$(make -s where-caffe)]'
	@echo '  GPU=id            hand --gpu to that caffe [none]      THREADS=n  at most so many [one per core]'
	@echo '  PRECISION=bf16    faster, not faithful to Caffe; embedded engine only [fp32]'
	@echo '  CACHE_GB=g        for the stored outputs of frozen layers, 0 for none [a quarter of the free memory]'
	@echo '  RUNS=folder       where runs and packed data go [runs]      RUN=name  this run'"'"'s folder in it'

setup: $(READY)  ## the virtual environment .venv with everything in it
SOURCES := setup.py pyproject.toml pycaffe_ext/proto/caffe.proto
$(READY): $(SOURCES) $(BROKEN)
	@$(PYTHON) tools/setup_venv.py $(call quoted,VENV) $(SOURCES)
.PHONY: broken-venv
broken-venv:

$(JOBS) $(OTHERS): $(READY)
	@$(PY) tools/train_and_test.py $(call quote,$@) $(call flags,SCHEMES SEEDS OUT)

$(APPS): $(READY)
	@$(PY) tools/run_study.py $@ $(call flags,SEED RUN OUT)

$(TABLES): $(READY)
	@$(PY) tools/write_report.py $(@:%-tables=%) $(call flags,SEED RUN CACHE_GB)

.DEFAULT:
	@echo 'error: no target' $(call quote,$@)'; a job is APP-SCHEME with APP one of: $(APPS); SCHEME one of: $(TUNINGS);' \
	      'make help lists everything' >&2; exit 2

# The README's study: about an hour on 2 cores. SqueezeNet's rates are a tenth of Table II's, at which it diverges.
KVASIR := ARCH=squeezenet BASE_LR=0.0001 PATCHES=1600 TEST_VIEWS=1 EPOCHS=3 SEEDS=0,1,2 \
	SCHEMES='ft-conv10 ft-fire9 ft-fire7 ft-fire4 ft-fire2 ft-conv1 alexnet:scratch:epochs=20,base_lr=0.001'
.PHONY: kvasir
kvasir: $(READY)  ## the README's study of Kvasir-SEG: DATA=its folder WEIGHTS=squeezenet_v1.1's caffemodel
	@test -n $(call quoted,DATA) -a -n $(call quoted,WEIGHTS) || { echo 'error: make kvasir needs DATA= and WEIGHTS=' >&2; exit 2; }
	@$(MAKE) --no-print-directory polyp $(handed) $(KVASIR)
	@$(MAKE) --no-print-directory polyp-tables $(handed) $(KVASIR) OUT=reports/kvasir

prototxt: $(READY)  ## regenerate prototxt/ and solvers/; with ARCH=net, that net's into runs/nets/ARCH (OUT=folder)
	@$(PY) tools/emit_prototxt.py $(call options,ARCH APP OUT)

tables: $(READY)  ## Tables I and II, read back from the emitted files
	@$(PY) tools/print_tables.py

weights: $(READY)  ## download a published donor, resumable and checked (NAME=bvlc_alexnet)
	@$(PY) tools/get_weights.py $(if $(value NAME),$(call quoted,NAME))

.PHONY: data-help
data-help: $(READY)  ## data sets that are read, with terms and where to get them (DATASET=name); what DATA=folder holds
	@$(PY) tools/data_help.py $(call flags,$(filter-out DATA DATASET MASK DAMAGED RUNS,$(OPTIONS)))

caffe: $(READY)  ## install the genuine BVLC Caffe 1.0 into your cache folder, once
	@$(PY) tools/install_caffe.py

.PHONY: where-caffe
where-caffe: $(READY)
	@$(PY) tools/install_caffe.py --where

donor: $(READY)  ## repeat the training of the embedded donor (about half an hour on 2 cores)
	@$(PY) tools/make_donor.py

# Two processes with a thread each: most tests are too small to share. A file's tests, and so its fixtures, stay together.
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PY) -m pytest tests -n 2 --dist loadfile --no-loadscope-reorder
test: $(READY)  ## everything that proves the promises, on two cores
	@$(PYTEST)

quick-test: $(READY)  ## the tests that take seconds
	@$(PYTEST) -m 'not slow'

.PHONY: detector-curve
detector-curve: $(READY)  ## train the hand-crafted detector alone; polyps hit against candidates a frame (DATA=, SEED=, OUT=)
	@$(PY) tools/detector_curve.py $(call options,DATA DATASET MASK DAMAGED SEED RUNS OUT)

.PHONY: bench
bench: $(READY)  ## compare with the genuine Caffe, write docs/reference/benchmarks.md (ROWS="train-32 reading": those rows only)
	@$(PY) tools/bench.py $(foreach row,$(value ROWS),$(call quote,$(row)))

# gpu-bundle/check.sh brings along what a machine without internet lacks, and uses that machine's own torch.
.PHONY: gpu-check gpu-bundle
BUNDLE := $(wildcard gpu-bundle/check.sh)
gpu-check: $(if $(BUNDLE),,$(READY))  ## is the GPU side right, and how fast, in 8 minutes; writes GPU.md (CHECKS="drawn lmdb": those only; OUT=folder)
	@$(if $(BUNDLE),bash $(BUNDLE),$(PY) tools/gpu_check.py) $(foreach check,$(value CHECKS),$(call quote,$(check))) $(call options,OUT)

gpu-bundle: $(READY)  ## what make gpu-check needs without internet, into gpu-bundle/ (FOR=3.12, that machine's Python; WITHOUT="scipy", it has)
	@$(PY) tools/gpu_bundle.py $(if $(value FOR),--python=$(call quoted,FOR)) $(call options,OUT) $(if $(value WITHOUT),--without $(foreach name,$(value WITHOUT),$(call quote,$(name))))

.PHONY: conformance
conformance: $(READY)  ## every case in both engines, after `make caffe`; writes docs/reference/conformance.md
	@$(PY) tools/conformance.py

.PHONY: coverage
coverage: $(READY)  ## what the 95 % intervals cover and how often the tests err, on scores of known truth (REPETITIONS=1000)
	@$(PY) tools/coverage.py $(call options,REPETITIONS)

.PHONY: docs
docs: $(READY)  ## the documentation as a web site, into site/; a broken link is an error
	@$(BIN)/mkdocs build --strict --quiet

lint: $(READY)
	@$(BIN)/ruff check .

clean:  ## remove runs/ (downloads and the virtual environment stay)
	rm -rf runs
