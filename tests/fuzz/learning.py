"""Estimators, alone, in pipelines and in searches, and generators of random numbers."""

from __future__ import annotations

from tests.fuzz.patterns import Topic, long, short

TOPIC = Topic(
    names={
        "Model": ("model", "ridge"),
        "Scaler": ("scaler",),
        "Search": ("pipe", "grid"),
        "Rng": ("rs",),
        "Dice": ("dice",),
        "Seed": ("SEED",),  # of what numpy keeps for everybody
        "Gen": ("gen", "rng"),
    },
    imports=short("""
import random
import numpy as np
import pandas as pd
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
"""),
    start=(
        "<+Mat> = <mat>",
        "<+Model> = <model>",
    ),
    simple=short("""
<+Model> = <model>  <+Model> = <model>  <+Model> = <Model>  <+Model> = clone(<Model>)
<+Model> = <model>.fit(<Mat>, <Mat>[:, 0])
<Model>.fit(<Mat>, <Mat>[:, 0])  <Model>.fit(<Mat>, <Mat>[:, 0])  <Model>.set_params(alpha=<digit> + 1)
<Model>.alpha = <digit> + 1
<Model>.coef_[0] = <digit>  <+Vec> = <Model>.coef_  <+Vec> = <Model>.predict(<Mat>)
<+I> = round(<Model>.score(<Mat>, <Mat>[:, 0]))
<+Model> = KMeans(2, n_init=1, random_state=<Rng>)  <+Model> = KMeans(2, n_init=1, random_state=0)
<Model>.v = <L>

<+Scaler> = StandardScaler()  <+Scaler> = StandardScaler(copy=False)  <+Scaler> = MinMaxScaler(copy=False)
<Scaler>.fit(<Mat>)  <Scaler>.fit_transform(<Mat>)  <+Mat> = <Scaler>.fit_transform(<Mat>)
<Scaler>.partial_fit(<Mat>)
<+Mat> = <Scaler>.fit(<Mat>).transform(<Mat>)  <Scaler>.set_params(copy=False)

<+Search> = make_pipeline(<Scaler>, <Model>)  <+Search> = make_pipeline(StandardScaler(), <Model>)
<+Search> = GridSearchCV(<Model>, {'alpha': [1, 2]}, cv=2)  <Search>.fit(<Mat>, <Mat>[:, 0])
<Search>.fit(<Mat>, <Mat>[:, 0])  <Search>[-1].alpha = <digit> + 1  <Search>.estimator.set_params(alpha=3)
<+Model> = <Search>.best_estimator_  <+Model> = <Search>[-1]  <+Search> = <Search>  <+D> = {'m': <Model>}
<D>['m'].fit(<Mat>, <Mat>[:, 0])  <D>['m'].set_params(alpha=4)  <+L> = [Ridge(a) for a in (1, 2)]
<L>[0].set_params(alpha=5)

<+Rng> = np.random.RandomState(<digit>)  <+Gen> = np.random.default_rng(<digit>)
<+Gen> = np.random.default_rng(<digit>)
<+Dice> = random.Random(<digit>)  <+I> = <Dice>.randint(0, 9)  <Dice>.shuffle(<L>)
<+Vec> = np.random.rand(2 + 0 * <Seed>)  np.random.shuffle(<L>[<Seed> :])  <+I> = np.random.randint(<Seed>, 9)
<+Gen> = <Gen>  <+Gen> = np.random.Generator(<Gen>.bit_generator)  <+Gen> = np.random.default_rng(<Gen>)
<+Vec> = <Gen>.normal(size=3)  <+Vec> = <Rng>.rand(3)  <+I> = int(<Gen>.integers(9))
<+I> = <Rng>.randint(9)
<Gen>.shuffle(<Vec>)  <Gen>.shuffle(<L>)  <Rng>.shuffle(<L>)  <Gen>.shuffle(<Mat>)
<+Vec> = <Gen>.permutation(<Vec>)
<+Frame> = <Frame>.sample(2, random_state=<Rng>)  <+Frame> = <Frame>.sample(2, random_state=<Gen>)
<+L> = train_test_split(list(range(6)), random_state=<Rng>)[1]
<+I> = train_test_split([1, 2, 3], random_state=<Rng>)[1][0]
<+O> = <C>(<Gen>)  <+I> = int(<O>.v.integers(9))
"""),
    compound=long("""
<+Seed> = <digit>
np.random.seed(SEED)

minimize(lambda x: float(x[0] ** 2), [1.0], callback=<L>.append, method='Nelder-Mead', options={'maxiter': 2})

def note(x):
    <L>.append(round(float(x[0]), 3))
minimize(lambda x: float(x[0] ** 2), [1.0], callback=note, method='Nelder-Mead', options={'maxiter': 2})

for part in (<Model>, <Model>):
    part.fit(<Mat>, <Mat>[:, 0])

for name, part in {'a': <Model>}.items():
    part.set_params(alpha=len(name))

for a in (1, 2):
    <+Model> = Ridge(alpha=a).fit(<Mat>, <Mat>[:, 0])

for part in np.array_split(<Mat>, 2):
    <Scaler>.partial_fit(part)
"""),
    places={"model": short("Ridge()  Ridge(alpha=<digit> + 1)  LinearRegression()")},
    more={
        "test": short("hasattr(<Model>, 'coef_')"),
        "value": short("<Model>"),
    },
)
