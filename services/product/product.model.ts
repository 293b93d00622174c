import {
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  type Model,
  type ModelStatic,
  type Sequelize,
} from "sequelize";

/** Products for filtered reads: only the columns that are filtered by. The table is the migrations'. */
export interface ProductModel
  extends Model<InferAttributes<ProductModel>, InferCreationAttributes<ProductModel>> {
  id: string;
  sku: string;
  available: number;
}

export function defineProductModel(sequelize: Sequelize): ModelStatic<ProductModel> {
  return sequelize.define<ProductModel>(
    "product",
    {
      id: { type: DataTypes.UUID, primaryKey: true },
      sku: { type: DataTypes.TEXT },
      available: { type: DataTypes.BIGINT },
    },
    { tableName: "products", timestamps: false },
  );
}
